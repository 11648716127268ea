// Package alert knows when to wake a person, and how.
//
// In: the live state of the sites, what is planned and acknowledged, and what the collector knows of itself. Out: alerts, each told when it is raised,
// when it changes and when it is over, to Prometheus' Alertmanager and to people.
// Guarantees: what was raised is written down before it is told, and what was told right after, so that a kill at any instant loses no alert and
// repeats at most those that were on their way to a channel at that instant. A fault of the NOC itself blames no village.
package alert
