// Command getinfluxd sees to it that this machine has an influxd for the tests and the demo: 1.8, or 2.7 with the argument 2.
//
// In: PATH, the cache folder, and for 2.7 the module ../influxd2 that pins what it is built from. Out: the path of the
// program on standard output, progress on standard error.
// It guarantees that the path it prints is a program that runs. It is built once and kept in the cache folder.
package main
