// Package broker is the embedded MQTT broker, with the rules of who may sign in and who may say what.
//
// In: connections of agents. Out: data, presence and results of commands of agents that proved who they are, to three
// callbacks; and acknowledgements and commands to them.
// Guarantees: an agent publishes on its own topics and hears its own, and nothing else; what breaks a rule is counted
// and costs only the one who broke it. All state is bounded and in memory: a power cut empties it, and agents come back.
package broker
