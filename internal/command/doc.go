// Package command is the frame that the main function of each program shares.
//
// In: a run function, the arguments, where to write. Out: the exit status: 0, 1 when something failed, 2 for a wrong
// command line. Guarantees: SIGINT and SIGTERM end the context, and a second one the process; each fault is told on a
// line of its own, behind the program's name. It keeps nothing.
package command
