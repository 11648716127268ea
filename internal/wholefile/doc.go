// Package wholefile replaces small files so that at any instant the old or the new one is there, whole, and makes files that are written once.
//
// In: a name, bytes, a mode. Out: the file. Several processes that change the same file take the lock of its folder; those that make the same one need
// none, as one of them makes it and the others are told.
// Guarantees: after Replace or Create has returned the new file survives a power cut; when the power goes before that, one of the two is there, or none. The
// owner stays who it was, and a new file or folder belongs to the owner of its folder, so that what root writes the daemon can read.
package wholefile
