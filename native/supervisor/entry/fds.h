/* The file descriptors of a program that the supervisor starts. */
#ifndef SUPERVISOR_FDS_H
#define SUPERVISOR_FDS_H

#include "request/start_request.h"
#include "setup_report.h"

/* In the child that becomes the program: puts every fd of the request in its place and closes all others.
 * rendezvous_fd -1: none. A failure ends the child. */
void fds_put_in_place(const struct start_request *request, int rendezvous_fd, struct setup_report *report);

#endif
