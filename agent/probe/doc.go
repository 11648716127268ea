// Package probe asks the network: default gateway, internet anchors, name resolution.
//
// In: addresses to ask, a schedule, evidence of traffic that flows anyway, and the kernel's word on interfaces and routes. Out: verdicts
// (the state, from when it holds and how well that is known), samples of loss and round trip, and what it all cost in bytes.
// It guarantees that a round ends within its bound or at once when cancelled, that one dead anchor is never an outage, that an
// outage is believed only when a second round says so too or the interface has no carrier, and that each change lies within the error
// told with it. It keeps nothing on disk.
//
// # Evidence
//
// Traffic that flows anyway counts as an answer and costs nothing: bytes that the far end of the MQTT connection acknowledged, or a WAN
// counter that moves by more than link-local noise (see Moved), read every three seconds. While it is not older than Every
// nothing is asked but the schedule: one echo each SampleEvery, one name each DNSEvery. Not even the gateway is asked, which may lie
// across a link that is paid for too. Against anchors that were asked and are silent only evidence counts that is newer than the question.
//
// # How well the start of an outage is known
//
// It lies between the last proof of a working link and the first question that nobody answered; At is the middle and Err
// half the distance. So:
//
//   - A link in use is known to five seconds. The last reading of the counters with traffic in it begins at most 3 s before the cut. The
//     anchors are asked at the first reading in which packets only leave, which ends at most 6 s after the last with traffic began, or at
//     the second in which neither side speaks, at 9 s: (9 s + patience for the first anchor + twice the usual round trip) / 2. This lasts as
//     long as the extra probes do (ExtraPerHour). A lull is asked about once more 10, 20 and 40 s later.
//   - A link that nobody uses is known to half of Every. No schedule can do better for less: an echo and its answer are 56 bytes, 84 with
//     Ethernet, so one each 10 s is 259,200 × 84 = 21.8 MB a month, more than the whole budget, for an error of 5 s.
//   - A cable that is cut, or a route that goes, is known to milliseconds, because the kernel tells (Watch).
//   - Names are known to half of DNSEvery, as only a question can tell.
//
// The end of an outage is known better, because rounds come each second or as soon as the round before has waited out its timeout, after
// a minute each five seconds. Only a dead resolver is asked less and less often, as the link is alive then and each question paid for.
package probe
