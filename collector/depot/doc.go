// Package depot gives packages to routers that know nothing but the address of the operations centre.
//
// In: files that an operator has put into a folder, as make packages makes them. Out: /packages/, a list of them with their SHA-256, and
// each file, from any byte on, since a bad link breaks off.
// Guarantees: nothing but packages, and what tells of them, leaves the folder; a file that differs from what SHA256SUMS beside it says is not
// given away. How many are fetched at once is bounded. It writes nothing.
package depot
