/* All of libsandwire. */
#ifndef SANDWIRE_SANDWIRE_H
#define SANDWIRE_SANDWIRE_H

#include "sandwire/buffer.h"
#include "sandwire/client.h"
#include "sandwire/closer.h"
#include "sandwire/comms.h"
#include "sandwire/error.h"
#include "sandwire/forking_client.h"
#include "sandwire/listener.h"

#endif
