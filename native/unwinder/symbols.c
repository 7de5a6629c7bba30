#include "symbols.h"

#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "image.h"

enum {
  SYMBOLS_AT_ONCE = 1024,
  MAX_SYMBOLS = 8 * 1024 * 1024,
  REACH_OF_SIZELESS = 64,
  FIRST_PIECE_OF_NAME = 32
};

#ifdef SANDWIRE_HAS_DEMANGLER
/* In libsupc++, but a C function: the Itanium C++ ABI, section 3.4. */
char *__cxa_demangle(const char *name, char *buffer, size_t *length, int *status);
#endif

/* Compares by image, then by address. */
static int compare(const void *one, const void *other) {
  const struct frame *a = *(struct frame *const *)one, *b = *(struct frame *const *)other;
  if (a->image != b->image) {
    return a->image < b->image ? -1 : 1;
  }
  return (a->lookup > b->lookup) - (a->lookup < b->lookup);
}

/* Gives the symbol to every frame that is in it, unless the frame has a better one. The frames are sorted by
 * address. */
static void offer(struct frame **frames, size_t count, uint64_t bias, const Elf64_Sym *symbol,
                  uint32_t names) {
  const unsigned type = ELF64_ST_TYPE(symbol->st_info);
  if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) || symbol->st_shndx == SHN_UNDEF ||
      symbol->st_name == 0) {
    return;
  }
  const uint64_t begin = symbol->st_value + bias;
  const uint64_t size = symbol->st_size > 0 ? symbol->st_size : REACH_OF_SIZELESS;
  /* A symbol with a size before one without, a function's before another's, a global one's before a local
   * one's. */
  const uint64_t rank = 1 + (symbol->st_size > 0) * 4u + (type != STT_NOTYPE) * 2u +
                        (ELF64_ST_BIND(symbol->st_info) != STB_LOCAL);
  size_t low = 0, high = count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (frames[middle]->lookup < begin) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < count && frames[low]->lookup - begin < size; low++) {
    struct frame *frame = frames[low];
    if (rank > frame->symbol_rank || (rank == frame->symbol_rank && begin > frame->symbol)) {
      frame->symbol_rank = rank;
      frame->symbol = begin;
      /* For now only the offset of the name is kept; the name is read when the best symbol is known. */
      memcpy(frame->name, &symbol->st_name, sizeof(symbol->st_name));
      memcpy(frame->name + sizeof(symbol->st_name), &names, sizeof(names));
    }
  }
}

/* Reads in pieces that double in size, because most names are short and one may be at the very end of the
 * readable memory. */
static void read_name(const struct image *image, uint64_t offset, char *name, size_t size) {
  size_t length = 0, piece = FIRST_PIECE_OF_NAME;
  while (length < size - 1 && offset <= UINT64_MAX - length) {
    piece = piece < size - 1 - length ? piece : size - 1 - length;
    if (!image_read(image, offset + length, name + length, piece)) {
      if (piece == 1) {
        break;
      }
      piece /= 2;
      continue;
    }
    const char *end = memchr(name + length, '\0', piece);
    if (end != NULL) {
      return;
    }
    length += piece;
    piece *= 2;
  }
  name[length] = '\0';
}

static void finish(struct frame *frame, const Elf64_Shdr *sections, size_t section_count) {
  uint32_t at, names;
  char mangled[FRAME_NAME_SIZE] = "";
  memcpy(&at, frame->name, sizeof(at));
  memcpy(&names, frame->name + sizeof(at), sizeof(names));
  if (names < section_count && at < sections[names].sh_size && sections[names].sh_offset <= UINT64_MAX - at) {
    read_name(frame->image, sections[names].sh_offset + at, mangled, sizeof(mangled));
  }
  memcpy(frame->name, mangled, sizeof(mangled));
  if (mangled[0] == '\0') {
    frame->symbol_rank = 0;
  }
}

static void name_in_image(struct frame **frames, size_t count) {
  static Elf64_Shdr sections[MAX_SECTIONS];
  static Elf64_Sym symbols[SYMBOLS_AT_ONCE];
  struct image *image = frames[0]->image;
  size_t section_count, unused;
  if (!image->has_bias || !image_sections(image, sections, &section_count, &unused)) {
    return;
  }
  for (size_t i = 0; i < section_count; i++) {
    const Elf64_Shdr *section = &sections[i];
    if ((section->sh_type != SHT_SYMTAB && section->sh_type != SHT_DYNSYM) ||
        section->sh_entsize != sizeof(symbols[0])) {
      continue;
    }
    uint64_t left = section->sh_size / sizeof(symbols[0]);
    uint64_t offset = section->sh_offset;
    left = left < MAX_SYMBOLS ? left : MAX_SYMBOLS;
    while (left > 0 && !budget_is_used_up()) {
      const size_t now = left < SYMBOLS_AT_ONCE ? (size_t)left : SYMBOLS_AT_ONCE;
      if (!image_read(image, offset, symbols, now * sizeof(symbols[0]))) {
        break;
      }
      for (size_t s = 0; s < now; s++) {
        offer(frames, count, image->bias, &symbols[s], section->sh_link);
      }
      left -= now;
      offset += now * sizeof(symbols[0]);
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (frames[i]->symbol_rank > 0) {
      finish(frames[i], sections, section_count);
    }
  }
}

#ifdef SANDWIRE_HAS_DEMANGLER
static void demangle(struct frame *frame) {
  int status = -1;
  char *plain = strncmp(frame->name, "_Z", 2) == 0 ? __cxa_demangle(frame->name, NULL, NULL, &status) : NULL;
  if (plain != NULL && status == 0) {
    strncpy(frame->name, plain, sizeof(frame->name) - 1);
    frame->name[sizeof(frame->name) - 1] = '\0';
  }
  free(plain);
}
#endif

void symbols_name(struct frame **frames, size_t count) {
  qsort(frames, count, sizeof(frames[0]), compare);
  for (size_t begin = 0, end; begin < count; begin = end) {
    end = begin + 1;
    while (end < count && frames[end]->image == frames[begin]->image) {
      end++;
    }
    if (frames[begin]->image != NULL) {
      name_in_image(frames + begin, end - begin);
    }
  }
#ifdef SANDWIRE_HAS_DEMANGLER
  for (size_t i = 0; i < count && !budget_is_used_up(); i++) {
    if (frames[i]->symbol_rank > 0) {
      demangle(frames[i]);
    }
  }
#endif
}
