package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

// maxAsk bounds what is read of who asks an agent for something, in bytes.
const maxAsk = 4 << 10

// errAgent is a site of which it is not clear whom to ask.
var errAgent = errors.New("name the agent")

// apiCommand is a command as the API tells it.
type apiCommand struct {
	ID      string        `json:"id"`
	Kind    command.Kind  `json:"kind"`
	Site    string        `json:"site"`
	Agent   string        `json:"agent"`
	Who     string        `json:"who"`
	Asked   time.Time     `json:"asked"`
	State   command.State `json:"state"` // sent, accepted, done, refused, failed, expired
	Ended   bool          `json:"ended"`
	Changed time.Time     `json:"changed"`
	Text    string        `json:"text"`
	Data    string        `json:"data"` // of diagnostics: what status and check on the router say
}

func newAPICommand(c *command.Command) apiCommand {
	return apiCommand{c.ID, c.Kind, c.Site, c.Agent, c.Who, c.Asked.UTC(), c.State, c.State.Ended(), c.Changed.UTC(), c.Text, c.Data}
}

// apiCommands lists what was asked of a site's agents, the newest first.
func (s *server) apiCommands(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if _, ok := s.Live.Site(id); !ok {
		s.json(w, http.StatusNotFound, apiError{"no site of that id", "list the sites with /api/v1/sites"})
		return
	}
	var all []command.Command
	if s.Commands != nil {
		all = s.Commands.Of(id)
	}
	out := struct {
		At       time.Time      `json:"at"`
		Kinds    []command.Kind `json:"kinds"` // that can be asked for
		Commands []apiCommand   `json:"commands"`
	}{s.Now().UTC(), telemetry.CommandKinds(), make([]apiCommand, len(all))}
	for i := range all {
		out.Commands[i] = newAPICommand(&all[i])
	}
	s.json(w, http.StatusOK, out)
}

// apiAsk asks an agent for something, for a program: 202 and the command, whose end GET of the same address tells.
func (s *server) apiAsk(w http.ResponseWriter, r *http.Request) {
	c, err := s.ask(w, r)
	if err != nil {
		status, do := unsent(err)
		s.json(w, status, apiError{err.Error(), do})
		return
	}
	s.json(w, http.StatusAccepted, newAPICommand(&c))
}

// askForm is apiAsk for the site's page, to which it leads back, and which says what went wrong.
func (s *server) askForm(w http.ResponseWriter, r *http.Request) {
	c, err := s.ask(w, r)
	if err == nil {
		seeOther(w, r, backTo(r, c.Site, string(c.Kind)))
		return
	}
	status, do := unsent(err)
	what := sentence(err.Error()) + " Next: " + do + "."
	if _, ok := s.Live.Site(r.PathValue("id")); !ok {
		s.failed(w, status, "Nothing was sent", what)
		return
	}
	s.showSite(w, r, status, typed{"commands", r.PostForm, map[string]string{"": "Nothing was sent. " + what}})
}

// sentence is an error as a page writes it.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// unsent is the status of a command that was not sent, and what to do about it.
func unsent(err error) (status int, do string) {
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &size):
		return http.StatusRequestEntityTooLarge, "send kind, and agent where the site has several"
	case errors.Is(err, errAgent), errors.Is(err, command.ErrUnknownKind), errors.Is(err, errAsk):
		return http.StatusBadRequest, "send kind=speedtest or kind=diagnostics, and agent where the site has several"
	case errors.Is(err, command.ErrUnknownAgent):
		return http.StatusNotFound, "look at the site's agents on its page"
	case errors.Is(err, command.ErrAbsent), errors.Is(err, command.ErrRunning):
		return http.StatusConflict, "look at the site's page, and ask again"
	case errors.Is(err, command.ErrTooMany):
		return http.StatusTooManyRequests, "wait, and ask again"
	}
	return http.StatusServiceUnavailable, "ask again; /readyz and the collector's log tell what is wrong here"
}

// errAsk is a request that cannot be read.
var errAsk = errors.New("the request cannot be read")

// ask does what the request wants.
func (s *server) ask(w http.ResponseWriter, r *http.Request) (command.Command, error) {
	if s.Commands == nil {
		return command.Command{}, errors.New("this collector carries no commands")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxAsk)
	var want struct {
		Kind  string `json:"kind"`
		Agent string `json:"agent"`
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil {
			return command.Command{}, fmt.Errorf("%w: %w", errAsk, err)
		}
		if d.More() {
			return command.Command{}, fmt.Errorf("%w: something stands behind the JSON object", errAsk)
		}
	} else {
		if err := r.ParseForm(); err != nil {
			return command.Command{}, fmt.Errorf("%w: %w", errAsk, err)
		}
		want.Kind, want.Agent = r.PostForm.Get("kind"), r.PostForm.Get("agent")
	}
	st, ok := s.Live.Site(r.PathValue("id"))
	if !ok {
		return command.Command{}, fmt.Errorf("site %.70q: %w", r.PathValue("id"), command.ErrUnknownAgent)
	}
	agent, err := whom(&st, want.Agent)
	if err != nil {
		return command.Command{}, err
	}
	who := visitorOf(r).Name
	c, err := s.Commands.Ask(who, client(r), telemetry.Address{Site: st.Site.ID, Agent: agent}, command.Kind(want.Kind))
	if err == nil && s.Journal != nil {
		if _, err := s.Journal.Note(who, c.Site, commandWord(c.Kind)+" asked of "+c.Agent, journal.Command); err != nil {
			s.Log.Warn("the journal does not know of a command that was sent; the audit log does", "site", c.Site, "error", err)
		}
	}
	return c, err
}

// whom is the agent that is asked: the one that is named, or the only one, or the only one that is there.
func whom(st *fleet.Status, name string) (string, error) {
	if name != "" {
		if err := telemetry.CheckID("agent", name); err != nil {
			return "", fmt.Errorf("%w: %w", errAgent, err)
		}
		return name, nil
	}
	var all, here []string
	for i := range st.Agents {
		all = append(all, st.Agents[i].Agent)
		if st.Agents[i].Connected {
			here = append(here, st.Agents[i].Agent)
		}
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(here) == 1:
		return here[0], nil
	case len(all) == 0:
		return "", fmt.Errorf("site %s has no agent: %w", st.Site.ID, command.ErrUnknownAgent)
	}
	return "", fmt.Errorf("site %s has the agents %s: %w", st.Site.ID, strings.Join(all, ", "), errAgent)
}
