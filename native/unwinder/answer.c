#include "answer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protobuf.h"
#include "request.h"
#include "sandwire/wire.generated.h"

enum { NOTE_SIZE = 128, LINE_SIZE = FRAME_NAME_SIZE + IMAGE_PATH_SIZE + 64 };

static unsigned char bytes[UNWIND_ANSWER_SIZE], thread_bytes[UNWIND_ANSWER_SIZE - NOTE_SIZE - 16];
static struct sandwire_protobuf_writer answer;
static char the_note[NOTE_SIZE];

void answer_begin(void) {
  /* Room for the note is reserved. */
  sandwire_protobuf_writer_init(&answer, bytes, sizeof(bytes) - NOTE_SIZE - 16);
}

static void put_line(struct sandwire_protobuf_writer *writer, const char *line) {
  sandwire_protobuf_put_bytes(writer, SANDWIRE_THREAD_STACK_FRAMES, line, strlen(line));
}

static void put_frame(struct sandwire_protobuf_writer *writer, const struct frame *frame) {
  char line[LINE_SIZE];
  const unsigned long long pc = frame->pc;
  if (frame->symbol_rank > 0) {
    snprintf(line, sizeof(line), "%s+0x%llx(0x%llx)", frame->name, pc - (unsigned long long)frame->symbol,
             pc);
  } else if (frame->image != NULL && frame->image->has_bias) {
    snprintf(line, sizeof(line), "%s+0x%llx(0x%llx)", frame->image->path,
             pc - (unsigned long long)frame->image->bias, pc);
  } else if (frame->image != NULL) {
    snprintf(line, sizeof(line), "%s(0x%llx)", frame->image->path, pc);
  } else {
    snprintf(line, sizeof(line), "?(0x%llx)", pc);
  }
  put_line(writer, line);
  if (frame->repeated > 0) {
    snprintf(line, sizeof(line), "(previous frame repeated %u times)", frame->repeated);
    put_line(writer, line);
  }
}

bool answer_add(int tid, const struct frame *frames, size_t count, enum walk_end end) {
  struct sandwire_protobuf_writer thread;
  sandwire_protobuf_writer_init(&thread, thread_bytes, sizeof(thread_bytes));
  sandwire_protobuf_put_varint(&thread, SANDWIRE_THREAD_STACK_TID, (uint64_t)(int64_t)tid);
  for (size_t i = 0; i < count; i++) {
    put_frame(&thread, &frames[i]);
  }
  static const char *const last[] = {
      [WALK_WHOLE] = NULL,
      [WALK_LOST] = NULL,
      [WALK_LONG] = "(more frames follow)",
      [WALK_TIMEOUT] = "(more frames follow; time is up)",
  };
  if (last[end] != NULL) {
    put_line(&thread, last[end]);
  }
  sandwire_protobuf_put_bytes(&answer, SANDWIRE_STACK_TRACES_THREADS, thread.buffer, thread.size);
  return !answer.overflow;
}

void answer_note(const char *note) {
  snprintf(the_note, sizeof(the_note), "%s", note);
}

bool answer_send(void) {
  answer.capacity = sizeof(bytes);
  answer.overflow = false;
  if (the_note[0] != '\0') {
    sandwire_protobuf_put_bytes(&answer, SANDWIRE_STACK_TRACES_NOTE, the_note, strlen(the_note));
  }
  return write(STDOUT_FILENO, answer.buffer, answer.size) == (ssize_t)answer.size;
}
