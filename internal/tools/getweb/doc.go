// Command getweb brings the browser libraries pinned in DIR/packages.toml into DIR, unchanged.
//
// In: the folder, as its only argument, and the npm client. Out: one folder for each package, a line for each.
// It guarantees that no byte is written whose hash is not the pinned one. A file is replaced in one step, so
// stopped half-way it leaves old or new files, never torn ones.
package main
