// Package probe asks the network: default gateway, internet anchors, name resolution.
//
// In: addresses to ask, a schedule, and evidence of traffic that flows anyway. Out: one verdict a round: the state,
// from when it holds and how well that is known, and samples of loss and round trip.
// It guarantees that a round ends within its bound or at once when cancelled, that one dead anchor is never an
// outage, and that an outage is believed only when a second round says so too. It keeps nothing on disk.
//
// # Evidence
//
// Traffic that flows anyway counts as an answer and costs nothing: a batch acknowledged through a broker that is not on
// this machine, or a WAN counter that moves by more than link-local noise (see Moved). Fresh evidence spares the
// paid probe, until a sample of quality is due. Against anchors that were asked and are silent only evidence counts that is newer
// than the question.
package probe
