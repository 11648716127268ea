// Package subscriber is the collector as a client of a broker that is not ours.
//
// In: data, presence and results of agents, as that broker lets them through. Out: the same three callbacks that the embedded broker
// has, and acknowledgements and commands to agents.
// Guarantees: memory is bounded, and nobody waits for the broker: what there is no room for is dropped without an
// acknowledgement, and its agent sends it again. It comes back by itself. A power cut loses nothing that was acknowledged, as it
// keeps nothing and the broker is trusted with nothing. Who may publish on which topic is that broker's to see to.
package subscriber
