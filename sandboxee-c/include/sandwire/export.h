#ifndef SANDWIRE_EXPORT_H
#define SANDWIRE_EXPORT_H

/* The library is built with hidden visibility; this marks what it offers. */
#define SANDWIRE_API __attribute__((visibility("default")))

#endif
