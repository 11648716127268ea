package alert

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Noticed is what a delivery of a notice tells.
const Noticed = "notice"

const (
	noticeFor   = 7 * 24 * time.Hour // so long a channel is tried
	keepNotices = 400                // whose ids are known, so that none is told twice
)

// Notice is something to know that is no trouble, such as that a report is ready. It is told to people, once for each id, and is no alert: it stands on no
// board, has no end, and Alertmanager hears nothing of it.
type Notice struct {
	ID       string    `json:"id"`                 // the same for the same notice, for ever; a-z, 0-9 and "-", at most 120
	Subject  string    `json:"subject,omitempty"`  // one line, at most 300 bytes
	Text     string    `json:"text,omitempty"`     // more lines, or none; what is beyond 3000 bytes is cut off
	Link     string    `json:"link,omitempty"`     // where there is more, http or https; may hold a secret, as errors do not tell it; "" for none
	Channels []string  `json:"channels,omitempty"` // by name; none: all that want what is of severity info
	At       time.Time `json:"at"`                 // set by Notice
}

// Check reports what is wrong with a notice.
func (n *Notice) Check() error {
	u, err := url.Parse(n.Link)
	switch {
	case n.ID == "" || len(n.ID) > 120 || slug(n.ID) != n.ID:
		return fmt.Errorf("notice %q: its id is not of a-z, 0-9 and \"-\", 120 at most", n.ID)
	case strings.TrimSpace(n.Subject) == "" || len(n.Subject) > 300 || oneLine(n.Subject) != n.Subject:
		return fmt.Errorf("notice %s: its subject is not one line of 300 bytes at most", n.ID)
	case !utf8.ValidString(n.Subject + n.Text):
		return fmt.Errorf("notice %s: it is no text (UTF-8)", n.ID)
	case n.Link != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(n.Link) > 500):
		return fmt.Errorf("notice %s: its link is not an address that begins with http:// or https://, of 500 bytes at most", n.ID)
	}
	return nil
}

// Notice has people told of something, at least once and, but for a kill between a message and the note that it was sent, once for each id, through restarts too. It
// is written down before it returns. It names the channels that are told, which are those of the first time where the id is known.
func (e *Engine) Notice(n Notice) ([]string, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	to, err := e.Tells(n.Channels)
	if err != nil {
		return nil, fmt.Errorf("notice %s: %w", n.ID, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := e.notice(n.ID); known != nil {
		return slices.Clone(known.Channels), nil
	}
	now := e.c.Now()
	n.At, n.Channels, n.Text = now, to, clipped(n.Text, 3000)
	e.notices = append(e.notices, &n)
	for _, name := range to {
		e.outbox = append(e.outbox, &item{Channel: name, Alert: n.ID, What: Noticed, Queued: now})
	}
	e.forgetNotices()
	e.now = true
	e.keep(now, false)
	return slices.Clone(to), nil
}

// Knows tells whether there was a notice of that id.
func (e *Engine) Knows(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.notice(id) != nil
}

// Tells is which channels are told of a notice to these, or to all that want to hear of what is of severity info. The error names one that nobody has
// configured, or that is told of alerts alone.
func (e *Engine) Tells(names []string) ([]string, error) {
	var to []string
	var faults []error
	seen := map[string]bool{}
	for _, ch := range e.c.Channels {
		name := ch.Name()
		switch named := slices.Contains(names, name); {
		case named && keepsState(ch):
			faults = append(faults, fmt.Errorf("channel %q is told of alerts alone", name))
		case named || len(names) == 0 && !keepsState(ch) && admits(ch.Least(), Info):
			to = append(to, name)
		}
		seen[name] = true
	}
	for _, name := range names {
		if !seen[name] {
			faults = append(faults, fmt.Errorf("there is no channel %q in alert.urls_file", name))
		}
	}
	return to, errors.Join(faults...)
}

// notice is one by its id. The mutex is held.
func (e *Engine) notice(id string) *Notice {
	if i := slices.IndexFunc(e.notices, func(n *Notice) bool { return n.ID == id }); i >= 0 {
		return e.notices[i]
	}
	return nil
}

// news is what a channel is told of a notice.
func (n *Notice) news() News {
	return News{Noticed, Alert{ID: n.ID, Severity: Info, Title: n.Subject, Text: n.Text, Began: n.At, Raised: n.At}}
}

// forgetNotices keeps of a notice that all were told only that there was one, and drops the oldest of these. The mutex is held.
func (e *Engine) forgetNotices() {
	waits := map[string]bool{}
	for _, i := range e.outbox {
		waits[i.Alert] = waits[i.Alert] || i.What == Noticed
	}
	over := len(e.notices) - keepNotices
	e.notices = slices.DeleteFunc(e.notices, func(n *Notice) bool {
		if waits[n.ID] {
			return false
		}
		n.Subject, n.Text, n.Link = "", "", ""
		over--
		return over >= 0
	})
}

// tryNotice tells whether a notice that a channel did not take is tried again.
func (e *Engine) tryNotice(i *item, now time.Time) bool {
	if now.Sub(i.Queued) < noticeFor {
		return true
	}
	e.c.Log.Error("a notice is given up: its channel has not taken it for a week", "channel", i.Channel, "notice", i.Alert)
	return false
}

// without is an error that does not show the link of a notice, which may let in whoever has it.
func (m *Message) without(err error) error {
	if err == nil || len(m.News) == 0 || m.News[0].What != Noticed || m.Link == "" {
		return err
	}
	return newVeil(m.Link).hidden(err)
}
