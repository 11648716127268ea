// Package testtty gives a test a terminal, so that what programs do for a person who watches can be seen.
//
// In: a command. Out: it runs with a pseudo-terminal of its own as standard input, output and error, and what it wrote there can be read.
// It guarantees that the command has ended when the test has.
// It keeps nothing.
package testtty
