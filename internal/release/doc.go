// Package release knows what was released, and builds the programs of a release from the history that git keeps.
//
// In: releases.txt, one line for each release, and a clone with its history. Out: paths of the programs as they were then.
// What is built is kept in the user's cache folder, by commit: nothing is ever written into the tree.
// Only tests and tools use it; the programs themselves do not know their predecessors.
package release
