#include "cfi.h"

#include "bytes.h"
#include "expression.h"

enum {
  MAX_REMEMBERED = 8,
  MAX_INSTRUCTIONS = 4096,
  MAX_ENTRIES = 200000, /* of a table without an index */
};

enum rule_kind {
  RULE_SAME,
  RULE_UNDEFINED,
  RULE_AT,
  RULE_IS,
  RULE_REGISTER,
  RULE_AT_EXPRESSION,
  RULE_IS_EXPRESSION
};

struct rule {
  enum rule_kind kind;
  int64_t offset;   /* from the frame's address (AT, IS), or the number of a register */
  uint64_t program; /* of an expression, and its size */
  uint64_t program_size;
};

/* A row of the table: where everything is saved at one address of a function. */
struct row {
  struct rule rules[REGISTER_COUNT];
  bool frame_by_expression;
  uint64_t frame_register;
  int64_t frame_offset;
  uint64_t frame_program, frame_program_size;
};

/* The contents of a function's entry (FDE) and of the entry it shares with others (CIE). */
struct entry {
  uint64_t code_alignment;
  int64_t data_alignment;
  uint64_t return_register;
  uint8_t pointer_encoding;
  bool is_signal, has_augmentation;
  uint64_t begin, size;
  struct bytes common, own; /* instructions */
};

/* ---- finding the entry ---- */

/* Reads the length and sets the end of an entry. False at the end of the table, or if the length makes no
 * sense. */
static bool open_entry(uint64_t address, struct bytes *entry) {
  *entry = (struct bytes){.at = address, .end = UINT64_MAX};
  uint64_t length = bytes_unsigned(entry, 4);
  if (length == 0xffffffff) {
    length = bytes_unsigned(entry, 8);
  }
  if (entry->failed || length == 0 || length > UINT32_MAX) {
    return false;
  }
  entry->end = entry->at + length;
  return true;
}

static bool read_common(uint64_t address, struct entry *entry) {
  struct bytes bytes;
  if (!open_entry(address, &bytes) || bytes_unsigned(&bytes, 4) != 0) {
    return false;
  }
  const uint64_t version = bytes_unsigned(&bytes, 1);
  char augmentation[8];
  size_t length = 0;
  do {
    augmentation[length] = (char)bytes_unsigned(&bytes, 1);
  } while (augmentation[length] != '\0' && ++length < sizeof(augmentation));
  if (bytes.failed || (version != 1 && version != 3) || length == sizeof(augmentation)) {
    return false;
  }
  entry->code_alignment = bytes_uleb(&bytes);
  entry->data_alignment = bytes_sleb(&bytes);
  entry->return_register = version == 1 ? bytes_unsigned(&bytes, 1) : bytes_uleb(&bytes);
  entry->pointer_encoding = 0;
  entry->is_signal = false;
  entry->has_augmentation = augmentation[0] == 'z';
  if (!entry->has_augmentation && augmentation[0] != '\0') {
    return false;
  }
  if (entry->has_augmentation) {
    const uint64_t size = bytes_uleb(&bytes);
    struct bytes data = bytes;
    bytes_skip(&bytes, size);
    for (size_t i = 1; i < length; i++) {
      switch (augmentation[i]) {
        case 'R':
          entry->pointer_encoding = (uint8_t)bytes_unsigned(&data, 1);
          break;
        case 'P':
          (void)bytes_pointer(&data, (uint8_t)bytes_unsigned(&data, 1) & 0x7f, 0);
          break;
        case 'L':
          (void)bytes_unsigned(&data, 1);
          break;
        case 'S':
          entry->is_signal = true;
          break;
        case 'B': /* return addresses are signed with the other key of aarch64 */
          break;
        default:
          return false;
      }
    }
    if (data.failed) {
      return false;
    }
  }
  entry->common = bytes;
  return !bytes.failed && entry->return_register < REGISTER_COUNT;
}

/* Reads the entry at the address, if it is a function's; first its extent, then the rest. */
static bool read_entry(uint64_t address, struct entry *entry) {
  struct bytes bytes;
  if (!open_entry(address, &bytes)) {
    return false;
  }
  const uint64_t at = bytes.at;
  const uint64_t common = bytes_unsigned(&bytes, 4);
  if (common == 0 || common > at || !read_common(at - common, entry)) {
    return false;
  }
  entry->begin = bytes_pointer(&bytes, entry->pointer_encoding, 0);
  entry->size = bytes_pointer(&bytes, entry->pointer_encoding & 0x0f, 0);
  if (entry->has_augmentation) {
    bytes_skip(&bytes, bytes_uleb(&bytes));
  }
  entry->own = bytes;
  return !bytes.failed;
}

static bool covers(const struct entry *entry, uint64_t address) {
  return address >= entry->begin && address - entry->begin < entry->size;
}

/* Finds the entry by the sorted index in .eh_frame_hdr. */
static bool find_by_index(uint64_t header, uint64_t address, struct entry *entry) {
  struct bytes bytes = {.at = header, .end = UINT64_MAX};
  enum { TABLE_OF_RELATIVE_INT32 = 0x3b };
  const uint64_t version = bytes_unsigned(&bytes, 1);
  const uint8_t frames_encoding = (uint8_t)bytes_unsigned(&bytes, 1);
  const uint8_t count_encoding = (uint8_t)bytes_unsigned(&bytes, 1);
  const uint64_t table_encoding = bytes_unsigned(&bytes, 1);
  (void)bytes_pointer(&bytes, frames_encoding, header);
  const uint64_t count = bytes_pointer(&bytes, count_encoding, header);
  if (bytes.failed || version != 1 || table_encoding != TABLE_OF_RELATIVE_INT32 || count > UINT32_MAX) {
    return false;
  }
  const uint64_t table = bytes.at;
  uint64_t low = 0, high = count;
  while (low < high) { /* the last that begins at or before the address is at low - 1 */
    const uint64_t middle = low + (high - low) / 2;
    int32_t begin;
    if (!target_read(table + middle * 8, &begin, sizeof(begin))) {
      return false;
    }
    if (header + (uint64_t)(int64_t)begin <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  int32_t distance;
  return low > 0 && target_read(table + (low - 1) * 8 + 4, &distance, sizeof(distance)) &&
         read_entry(header + (uint64_t)(int64_t)distance, entry) && covers(entry, address);
}

static bool find_by_search(uint64_t frames, uint64_t size, uint64_t address, struct entry *entry) {
  uint64_t at = frames;
  struct bytes bytes;
  for (int i = 0; i < MAX_ENTRIES && at - frames < size && open_entry(at, &bytes); i++) {
    if (read_entry(at, entry) && covers(entry, address)) {
      return true;
    }
    at = bytes.end;
  }
  return false;
}

/* ---- following its instructions ---- */

static struct rule *rule_of(struct row *row, uint64_t number) {
  static struct rule ignored; /* for a register that is not tracked, a vector register for example */
  return number < REGISTER_COUNT ? &row->rules[number] : &ignored;
}

static void set_rule(struct row *row, uint64_t number, enum rule_kind kind, int64_t offset) {
  *rule_of(row, number) = (struct rule){.kind = kind, .offset = offset};
}

static void set_expression(struct row *row, uint64_t number, enum rule_kind kind, struct bytes *bytes) {
  const uint64_t size = bytes_uleb(bytes);
  *rule_of(row, number) = (struct rule){.kind = kind, .program = bytes->at, .program_size = size};
  bytes_skip(bytes, size);
}

struct table {
  struct row row, initial, remembered[MAX_REMEMBERED];
  size_t remembered_count;
  uint64_t location;
};

/* The instructions without an operand in their first byte. False: unknown. */
static bool extended(struct table *table, const struct entry *entry, struct bytes *bytes,
                     unsigned operation) {
  struct row *row = &table->row;
  const int64_t factor = entry->data_alignment;
  uint64_t number;
  switch (operation) {
    case 0x00: /* nop */
      return true;
    case 0x01:
      table->location = bytes_pointer(bytes, entry->pointer_encoding, 0);
      return true;
    case 0x02:
    case 0x03:
    case 0x04:
      table->location += bytes_unsigned(bytes, 1u << (operation - 2)) * entry->code_alignment;
      return true;
    case 0x05: /* offset_extended */
      number = bytes_uleb(bytes);
      set_rule(row, number, RULE_AT, (int64_t)(bytes_uleb(bytes) * (uint64_t)factor));
      return true;
    case 0x06: /* restore_extended */
      number = bytes_uleb(bytes);
      *rule_of(row, number) = *rule_of(&table->initial, number);
      return true;
    case 0x07:
      set_rule(row, bytes_uleb(bytes), RULE_UNDEFINED, 0);
      return true;
    case 0x08:
      set_rule(row, bytes_uleb(bytes), RULE_SAME, 0);
      return true;
    case 0x09:
      number = bytes_uleb(bytes);
      set_rule(row, number, RULE_REGISTER, (int64_t)bytes_uleb(bytes));
      return true;
    case 0x0a: /* remember_state */
      if (table->remembered_count == MAX_REMEMBERED) {
        return false;
      }
      table->remembered[table->remembered_count++] = *row;
      return true;
    case 0x0b: /* restore_state */
      if (table->remembered_count == 0) {
        return false;
      }
      *row = table->remembered[--table->remembered_count];
      return true;
    case 0x0c: /* def_cfa */
    case 0x12: /* def_cfa_sf */
      row->frame_by_expression = false;
      row->frame_register = bytes_uleb(bytes);
      row->frame_offset = operation == 0x0c ? (int64_t)bytes_uleb(bytes)
                                            : (int64_t)((uint64_t)bytes_sleb(bytes) * (uint64_t)factor);
      return true;
    case 0x0d: /* def_cfa_register */
      row->frame_by_expression = false;
      row->frame_register = bytes_uleb(bytes);
      return true;
    case 0x0e: /* def_cfa_offset */
      row->frame_offset = (int64_t)bytes_uleb(bytes);
      return true;
    case 0x13: /* def_cfa_offset_sf */
      row->frame_offset = (int64_t)((uint64_t)bytes_sleb(bytes) * (uint64_t)factor);
      return true;
    case 0x0f: /* def_cfa_expression */
      row->frame_by_expression = true;
      row->frame_program_size = bytes_uleb(bytes);
      row->frame_program = bytes->at;
      bytes_skip(bytes, row->frame_program_size);
      return true;
    case 0x10:
      number = bytes_uleb(bytes);
      set_expression(row, number, RULE_AT_EXPRESSION, bytes);
      return true;
    case 0x16:
      number = bytes_uleb(bytes);
      set_expression(row, number, RULE_IS_EXPRESSION, bytes);
      return true;
    case 0x11: /* offset_extended_sf */
      number = bytes_uleb(bytes);
      set_rule(row, number, RULE_AT, (int64_t)((uint64_t)bytes_sleb(bytes) * (uint64_t)factor));
      return true;
    case 0x14: /* val_offset */
      number = bytes_uleb(bytes);
      set_rule(row, number, RULE_IS, (int64_t)(bytes_uleb(bytes) * (uint64_t)factor));
      return true;
    case 0x15: /* val_offset_sf */
      number = bytes_uleb(bytes);
      set_rule(row, number, RULE_IS, (int64_t)((uint64_t)bytes_sleb(bytes) * (uint64_t)factor));
      return true;
    case 0x2d: /* GNU_window_save; on aarch64 negate_ra_state: see plain_address() */
      return true;
    case 0x2e: /* GNU_args_size */
      (void)bytes_uleb(bytes);
      return true;
    default:
      return false;
  }
}

/* Runs the instructions up to the row of the address. */
static bool run(struct table *table, const struct entry *entry, struct bytes bytes, uint64_t address) {
  for (int count = 0; bytes.at < bytes.end && !bytes.failed; count++) {
    if (count == MAX_INSTRUCTIONS) {
      return false;
    }
    const unsigned byte = (unsigned)bytes_unsigned(&bytes, 1), operand = byte & 0x3f;
    switch (byte & 0xc0) {
      case 0x40: /* advance_loc */
        table->location += operand * entry->code_alignment;
        break;
      case 0x80: /* offset */
        set_rule(&table->row, operand, RULE_AT,
                 (int64_t)(bytes_uleb(&bytes) * (uint64_t)entry->data_alignment));
        break;
      case 0xc0: /* restore */
        *rule_of(&table->row, operand) = *rule_of(&table->initial, operand);
        break;
      default:
        if (!extended(table, entry, &bytes, byte)) {
          return false;
        }
        break;
    }
    if (table->location > address) {
      return true; /* the row is complete; the following instructions belong to a later one */
    }
  }
  return !bytes.failed;
}

static bool frame_address(const struct row *row, const struct registers *registers, uint64_t *address) {
  if (row->frame_by_expression) {
    return expression_evaluate(row->frame_program, row->frame_program_size, registers, NULL, address);
  }
  if (row->frame_register >= REGISTER_COUNT || !registers->known[row->frame_register]) {
    return false;
  }
  *address = registers->value[row->frame_register] + (uint64_t)row->frame_offset;
  return true;
}

static void apply(const struct rule *rule, int number, uint64_t frame, const struct registers *from,
                  struct registers *to) {
  uint64_t address;
  switch (rule->kind) {
    case RULE_SAME:
      break; /* the copy has it already */
    case RULE_UNDEFINED:
      to->known[number] = false;
      break;
    case RULE_AT:
      to->known[number] = target_read(frame + (uint64_t)rule->offset, &to->value[number], sizeof(uint64_t));
      break;
    case RULE_IS:
      to->known[number] = true;
      to->value[number] = frame + (uint64_t)rule->offset;
      break;
    case RULE_REGISTER:
      to->known[number] = (uint64_t)rule->offset < REGISTER_COUNT && from->known[rule->offset];
      if (to->known[number]) {
        to->value[number] = from->value[rule->offset];
      }
      break;
    case RULE_AT_EXPRESSION:
      to->known[number] = expression_evaluate(rule->program, rule->program_size, from, &frame, &address) &&
                          target_read(address, &to->value[number], sizeof(uint64_t));
      break;
    case RULE_IS_EXPRESSION:
      to->known[number] =
          expression_evaluate(rule->program, rule->program_size, from, &frame, &to->value[number]);
      break;
  }
}

enum cfi_outcome cfi_step(const struct image *image, uint64_t lookup, struct registers *registers,
                          bool *is_signal) {
  /* The last entry found is often the next one too, in recursion. */
  static struct entry entry;
  static const struct image *entry_image;
  if (entry_image != image || !covers(&entry, lookup)) {
    entry_image = NULL;
    const bool found =
        image->frame_header != 0
            ? find_by_index(image->frame_header, lookup, &entry)
            : image->frames != 0 && find_by_search(image->frames, image->frames_size, lookup, &entry);
    if (!found) {
      return CFI_NONE;
    }
    entry_image = image;
  }
  static struct table table;
  table.row = (struct row){.rules = {{0}}};
  table.initial = table.row;
  table.remembered_count = 0;
  table.location = 0;
  if (!run(&table, &entry, entry.common, UINT64_MAX)) {
    return CFI_NONE;
  }
  table.initial = table.row;
  table.location = entry.begin;
  if (!run(&table, &entry, entry.own, lookup)) {
    return CFI_NONE;
  }
  uint64_t frame;
  if (!frame_address(&table.row, registers, &frame)) {
    return CFI_NONE;
  }
  if (table.row.rules[entry.return_register].kind == RULE_UNDEFINED) {
    return CFI_OUTERMOST;
  }
  struct registers caller = *registers;
  caller.known[REGISTER_STACK] = true;
  caller.value[REGISTER_STACK] = frame; /* by definition, unless a rule differs */
  for (int i = 0; i < REGISTER_COUNT; i++) {
    apply(&table.row.rules[i], i, frame, registers, &caller);
  }
  if (!caller.known[entry.return_register]) {
    return CFI_NONE;
  }
  caller.pc = plain_address(caller.value[entry.return_register]);
  *registers = caller;
  *is_signal = entry.is_signal;
  return CFI_STEPPED;
}
