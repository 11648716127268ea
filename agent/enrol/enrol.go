package enrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Options say what to enrol with and where its files go.
type Options struct {
	Token      string
	ConfigFile string // agent.toml; the authority's certificate goes beside it, as ca.pem
	SecretFile string // "": as the configuration says
	DataDir    string // "": the default, or beside the configuration where that would be RAM
	Overwrite  bool   // replace a configuration that is there; the old one is kept as agent.toml.old
	Start      bool   // have the system's service manager start the agent
	Out        io.Writer
	Now        func() time.Time // the system's clock, which may be wrong
}

// Run enrols, and tells each step in a line. The error says what was not done and what to do; all but a token that is void can be tried again as it is.
// Where nothing has come of it, nothing is left of it, but for a secret of which the collector may have heard.
func Run(ctx context.Context, o Options) (err error) {
	e, err := telemetry.ParseEnrolment(o.Token)
	if err != nil {
		return err
	}
	for _, file := range []*string{&o.ConfigFile, &o.SecretFile, &o.DataDir} { // a service runs in another folder
		if *file == "" {
			continue
		}
		if *file, err = filepath.Abs(*file); err != nil {
			return err
		}
	}
	p, err := plan(o, e.Address)
	if err != nil {
		return err
	}
	defer func() { p.unmake() }()
	leave, err := p.enter()
	if err != nil {
		return err
	}
	defer leave()
	fmt.Fprintf(o.Out, "enrolling %s at %s\n", e.Address, e.URL)
	secret, fresh, err := p.secret()
	if err != nil {
		return err
	}
	q := &asking{e: e, out: o.Out, now: o.Now}
	answer, err := q.ask(ctx, secret)
	if u := (*used)(nil); errors.As(err, &u) && p.enrolled(ctx, q) {
		fmt.Fprintf(o.Out, "this router has enrolled with this token before; %s and %s are of this agent\n", p.config, p.c.SecretFile)
		if err := os.Remove(p.waiting()); err != nil {
			return err
		}
		return start(ctx, o, p.c.DataDir)
	}
	if errors.Is(err, errVoid) || err != nil && fresh && !q.sent { // a secret that nobody will ever hear of
		return errors.Join(p.refused(err), os.Remove(p.waiting()))
	}
	if err != nil {
		return err
	}
	text, err := p.configuration(answer)
	if err == nil && !p.keep {
		err = p.wins(text, answer.CA != "")
	}
	if err == nil {
		err = p.spare(answer.CA)
	}
	if err != nil {
		return err
	}
	if err := p.write(answer, text, o.Out); err != nil {
		return err
	}
	return start(ctx, o, p.c.DataDir)
}
