// Package wholefile replaces small files so that at any instant the old or the new one is there, whole.
//
// In: a name, bytes, a mode. Out: the file. Several processes that change the same file take the lock of its folder.
// Guarantees: after Replace has returned the new file survives a power cut; when the power goes before that, one of the two is there. The
// owner stays who it was, and a new file belongs to the owner of its folder, so that what root writes the daemon can read.
package wholefile
