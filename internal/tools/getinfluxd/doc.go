// Command getinfluxd sees to it that this machine has an influxd for the tests and the demo.
//
// In: nothing but PATH and the cache folder. Out: the path of the program on standard output, progress on
// standard error.
// It guarantees that the path it prints is a program that runs. It is built once and kept in the cache folder.
package main
