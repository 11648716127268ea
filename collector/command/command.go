package command

import (
	"errors"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Kind is what is asked.
type Kind = telemetry.CommandKind

// State is how far a command has come.
type State string

// The states. Sent and Accepted are not the end; Expired may still turn into what the agent tells later.
const (
	Sent     State = "sent"     // not answered yet
	Accepted State = "accepted" // the agent is at it
	Done     State = "done"
	Refused  State = "refused" // by the agent; it had no effect
	Failed   State = "failed"
	Expired  State = "expired" // the agent did not answer in time: whether it did anything is not known
)

// Ended tells whether nothing more is awaited.
func (s State) Ended() bool { return s != Sent && s != Accepted }

// Command is one thing that somebody asked of an agent.
type Command struct {
	ID      string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Site    string    `json:"site"`
	Agent   string    `json:"agent"`
	Who     string    `json:"who"`
	Asked   time.Time `json:"asked"`
	State   State     `json:"state"`
	Changed time.Time `json:"changed"` // when State last did
	Text    string    `json:"text"`    // what the agent says, or what is known of its silence; for people
	Data    string    `json:"data,omitempty"`
}

// Address is the agent that was asked.
func (c *Command) Address() telemetry.Address { return telemetry.Address{Site: c.Site, Agent: c.Agent} }

// Why nothing was sent.
var (
	ErrUnknownAgent = errors.New("no such agent is enrolled")
	ErrUnknownKind  = errors.New("no such command")
	ErrAbsent       = errors.New("is not connected")
	ErrRunning      = errors.New("has been asked for already")
	ErrTooMany      = errors.New("too many commands")
)
