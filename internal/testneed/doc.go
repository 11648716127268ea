// Package testneed says what a test needs of the machine.
//
// In: the name of a program or service, and how to get it. Out: its path, or the test is skipped, naming what is
// missing. With CI=true in the environment nothing is skipped: the test fails instead.
// It guarantees that a test never passes for want of what it tests. It keeps nothing.
package testneed
