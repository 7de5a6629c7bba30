/* An unsuspecting static program: copies standard input to standard output in upper case. */
#include <ctype.h>
#include <unistd.h>

int main(void) {
  char text[4096];
  ssize_t count;
  while ((count = read(0, text, sizeof text)) > 0) {
    for (ssize_t i = 0; i < count; i++) {
      text[i] = (char)toupper((unsigned char)text[i]);
    }
    for (ssize_t done = 0; done < count;) {
      ssize_t written = write(1, text + done, (size_t)(count - done));
      if (written < 0) {
        return 1;
      }
      done += written;
    }
  }
  return count < 0;
}
