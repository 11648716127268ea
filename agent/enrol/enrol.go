package enrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/wholefile"
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
}

// Run enrols, and tells each step in a line. The error says what was not done; all but a refusal of the collector can be tried again with the same token.
func Run(ctx context.Context, o Options) error {
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
	fmt.Fprintf(o.Out, "enrolling %s at %s\n", e.Address, e.URL)
	secret, err := p.secret()
	if err != nil {
		return err
	}
	answer, err := ask(ctx, e, secret, o.Out)
	if errors.Is(err, errRefused) {
		return errors.Join(p.refused(err), os.Remove(p.waiting())) // a secret that nobody will ever hear of
	}
	if err != nil {
		return err
	}
	text, err := p.configuration(answer)
	if err == nil && !p.keep {
		err = p.wins(text, answer.CA != "")
	}
	if err != nil {
		return err
	}
	if err := p.write(answer, text, o.Out); err != nil {
		return err
	}
	return start(ctx, o, p.c.DataDir)
}

// files is where what belongs to this agent goes.
type files struct {
	config, ca string
	c          agent.Config  // names the others
	keep       bool          // a configuration of the same agent is there, and stays
	local      []conf.Source // the second file, which wins and is never touched; none where there is none
	own        string        // the keys that name files, as far as they differ from the defaults
}

// plan looks at what is there, before anything is asked or written.
func plan(o Options, a telemetry.Address) (*files, error) {
	p := &files{config: o.ConfigFile, ca: filepath.Join(filepath.Dir(o.ConfigFile), "ca.pem"), c: agent.Defaults()}
	if err := p.readLocal(a); err != nil {
		return nil, err
	}
	old, doc, err := agent.Read(o.ConfigFile, "")
	_, none := os.Stat(o.ConfigFile)
	switch {
	case errors.Is(none, fs.ErrNotExist), o.Overwrite:
		if p.c.CAFile != "" {
			p.ca = p.c.CAFile
		}
	case doc == nil || err != nil:
		return nil, fmt.Errorf("the configuration that is there cannot be read: %w; mend it, or replace it with --overwrite", err)
	case old.Address() != a:
		return nil, fmt.Errorf("%s is the configuration of %s, and the token is for %s; replace it with --overwrite, or use the right token", o.ConfigFile, old.Address(), a)
	default:
		p.keep, p.c = true, old
		if old.CAFile != "" {
			p.ca = old.CAFile
		}
	}
	if !p.keep && p.c.DataDir == agent.Defaults().DataDir {
		p.c.DataDir = roomFor(p.c.DataDir, filepath.Join(filepath.Dir(o.ConfigFile), "data"))
	}
	for _, set := range []struct {
		to        *string
		value     string
		otherwise string
		key       string
	}{{&p.c.SecretFile, o.SecretFile, agent.Defaults().SecretFile, "secret_file"}, {&p.c.DataDir, o.DataDir, agent.Defaults().DataDir, "data_dir"}} {
		if set.value != "" {
			*set.to = set.value
		}
		if *set.to != set.otherwise {
			p.own += fmt.Sprintf("%s = %q\n", set.key, *set.to)
		}
	}
	for _, dir := range []string{filepath.Dir(p.config), filepath.Dir(p.ca), filepath.Dir(p.c.SecretFile)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a folder for the configuration: %w; run this as root", err)
		}
	}
	return p, nil
}

// waiting is where the secret lies until the collector has taken its hash.
func (p *files) waiting() string { return p.c.SecretFile + ".enrolling" }

// secret is that of a try before, or a new one: 256 random bits.
func (p *files) secret() (string, error) {
	b, err := os.ReadFile(p.waiting())
	if s := strings.TrimSpace(string(b)); err == nil && s != "" {
		return s, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the secret of a try before: %w", err)
	}
	s := telemetry.NewSecret()
	if err := wholefile.Replace(p.waiting(), []byte(s+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the secret: %w; run this as root", err)
	}
	return s, nil
}

// refused says more where a try before may have come to its end.
func (p *files) refused(err error) error {
	if _, e := os.Stat(p.c.SecretFile); e == nil && p.keep {
		return fmt.Errorf("%w\n%s and %s are of this agent, so it may have enrolled before: nabz-agent check tells", err, p.config, p.c.SecretFile)
	}
	return err
}

// configuration puts the keys that name files in front of what the collector has sent, and refuses what this agent could not run with.
func (p *files) configuration(answer telemetry.EnrolAnswer) (string, error) {
	own := p.own
	if answer.CA != "" {
		own += fmt.Sprintf("ca_file = %q\n", p.ca)
	}
	text := "# Written by nabz-agent enroll. What is not here has the profile's default: nabz-agent config --profile NAME prints every key.\n" + own + answer.Config
	c, doc, err := agent.Parse("the configuration that the collector sends", []byte(text), "")
	if doc != nil {
		err = errors.Join(err, c.Validate(doc))
	}
	if err != nil {
		return "", fmt.Errorf("%w\nnothing was written; at the NOC mend the file that agents.config_file names, then run this again", err)
	}
	return text, nil
}

// write puts the files in place, the secret last.
func (p *files) write(answer telemetry.EnrolAnswer, text string, out io.Writer) error {
	put := func(file, text string, mode fs.FileMode, what string) error {
		if err := wholefile.Replace(file, []byte(text), mode); err != nil {
			return fmt.Errorf("write %s: %w; run this as root, with the same token", what, err)
		}
		return wholefile.Share(file, group, mode)
	}
	if answer.CA != "" {
		if err := put(p.ca, answer.CA, 0o644, "the authority's certificate"); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s, the programme's authority\n", p.ca)
	}
	switch {
	case p.keep:
		fmt.Fprintf(out, "kept  %s, which is of this agent already; --overwrite replaces it\n", p.config)
		if answer.CA != "" && p.c.CAFile == "" {
			fmt.Fprintf(out, "      but set ca_file = %q in it, or no broker of the programme is trusted\n", p.ca)
		}
	default:
		if old, err := os.ReadFile(p.config); err == nil {
			if err := put(p.config+".old", string(old), 0o640, "the old configuration"); err != nil {
				return err
			}
			fmt.Fprintf(out, "kept  the old configuration as %s.old\n", p.config)
		}
		if err := put(p.config, text, 0o640, "the configuration"); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s\n", p.config)
	}
	if err := wholefile.Share(p.waiting(), group, 0o640); err != nil {
		return err
	}
	if err := os.Rename(p.waiting(), p.c.SecretFile); err != nil {
		return fmt.Errorf("put the secret in its place: %w; run this again with the same token", err)
	}
	if err := wholefile.SyncFolder(filepath.Dir(p.c.SecretFile)); err != nil {
		return fmt.Errorf("put the secret in its place: %w; run this again with the same token", err)
	}
	fmt.Fprintf(out, "wrote %s, this agent's secret\n", p.c.SecretFile)
	return nil
}
