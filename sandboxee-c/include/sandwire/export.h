#ifndef SANDWIRE_EXPORT_H
#define SANDWIRE_EXPORT_H

/* The library is built with hidden visibility; this marks its public functions. */
#define SANDWIRE_API __attribute__((visibility("default")))

#endif
