package enrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// files is where what belongs to this agent goes.
type files struct {
	config, ca string
	c          agent.Config  // names the others
	keep       bool          // a configuration of the same agent is there, and stays
	local      []conf.Source // the second file, which wins and is never touched; none where there is none
	own        string        // the keys that name files, as far as they differ from the defaults
	listed     bool          // the file of authorities has the programme's among others
	made       []string      // folders that were not there before, the innermost last
}

// plan looks at what is there, before anything is asked or written.
func plan(o Options, a telemetry.Address) (*files, error) {
	p := &files{config: o.ConfigFile, ca: filepath.Join(filepath.Dir(o.ConfigFile), "ca.pem"), c: agent.Defaults()}
	if err := p.readLocal(o, a); err != nil {
		return nil, err
	}
	old, doc, err := agent.Read(o.ConfigFile, "")
	_, none := os.Stat(o.ConfigFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, unwritten("read", o.ConfigFile, err)
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
	return p, nil
}

// enter makes the folders, holds the one of the secret against a second enrolment at the same time, and clears away what one that was killed has left.
func (p *files) enter() (leave func(), err error) {
	for _, dir := range []string{filepath.Dir(p.config), filepath.Dir(p.ca), filepath.Dir(p.c.SecretFile)} {
		if err := p.make(dir); err != nil {
			return nil, unwritten("make the folder", dir, err)
		}
	}
	dir := filepath.Dir(p.c.SecretFile)
	leave, ok, err := wholefile.TryLock(dir)
	if err != nil {
		return nil, unwritten("enter the folder", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("another nabz-agent enroll is at work in %s; wait for its end", dir)
	}
	for _, file := range []string{p.config, p.config + ".old", p.ca, p.waiting()} {
		if err := wholefile.Sweep(file); err != nil {
			leave()
			return nil, unwritten("clear away what an enrolment that broke off has left of", file, err)
		}
	}
	return leave, nil
}

// make makes a folder with those above it, and remembers them.
func (p *files) make(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.make(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	p.made = append(p.made, dir)
	return nil
}

// unmake removes the folders that were made and hold nothing.
func (p *files) unmake() {
	for _, dir := range slices.Backward(p.made) {
		_ = os.Remove(dir) // refused where something is in it, as it should be
	}
}

// waiting is where the secret lies until the collector has taken its hash.
func (p *files) waiting() string { return p.c.SecretFile + ".enrolling" }

// secret is that of a try before, or a fresh one: 256 random bits.
func (p *files) secret() (secret string, fresh bool, err error) {
	b, err := os.ReadFile(p.waiting())
	if s := strings.TrimSpace(string(b)); err == nil && s != "" {
		return s, false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read the secret of a try before: %w; run this as root", err)
	}
	s := telemetry.NewSecret()
	if err := wholefile.Replace(p.waiting(), []byte(s+"\n"), 0o600); err != nil {
		return "", false, unwritten("write", p.waiting(), err)
	}
	return s, true, nil
}

// enrolled tells whether it was this router that used the token: a run that was killed at its very end has left nothing to be done.
func (p *files) enrolled(ctx context.Context, q *asking) bool {
	b, err := os.ReadFile(p.c.SecretFile)
	if err != nil || !p.keep {
		return false
	}
	_, err = q.ask(ctx, strings.TrimSpace(string(b)))
	return err == nil
}

// refused says more where a try before may have come to its end.
func (p *files) refused(err error) error {
	if _, e := os.Stat(p.c.SecretFile); e == nil && p.keep && errors.Is(err, errVoid) {
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

// spare refuses to write over a list of authorities, which others on this machine may need, such as the system's. One that has the programme's is left as it is.
func (p *files) spare(ca string) error {
	if ca == "" {
		return nil
	}
	b, err := os.ReadFile(p.ca)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritten("read", p.ca, err)
	}
	n := strings.Count(string(b), "-----BEGIN CERTIFICATE-----")
	if p.listed = n > 1 && strings.Contains(string(b), strings.TrimSpace(ca)); n < 2 || p.listed {
		return nil
	}
	return fmt.Errorf("%s holds %d certificates, and the programme's authority would take their place\nnothing was written; delete ca_file from the configuration, then run this again with the same token", p.ca, n)
}

// write puts the files in place, the secret last. All are on disk whole before the first is: a disk that is full leaves things as they were.
func (p *files) write(answer telemetry.EnrolAnswer, text string, out io.Writer) (err error) {
	var drafts []*wholefile.Draft
	defer func() {
		for _, d := range drafts { // those that were not put
			err = errors.Join(err, d.Drop())
		}
	}()
	draft := func(file, text string, mode fs.FileMode) error {
		d, err := wholefile.Prepare(file, []byte(text), mode)
		if err != nil {
			return unwritten("write", file, err)
		}
		drafts = append(drafts, d)
		return wholefile.Share(d.Name(), group, mode)
	}
	var told strings.Builder
	if answer.CA != "" && !p.listed {
		if err := draft(p.ca, answer.CA, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&told, "wrote %s, the programme's authority\n", p.ca)
	}
	switch {
	case p.keep:
		fmt.Fprintf(&told, "kept  %s, which is of this agent already; --overwrite replaces it\n", p.config)
		if answer.CA != "" && p.c.CAFile == "" {
			fmt.Fprintf(&told, "      but set ca_file = %q in it, or no broker of the programme is trusted\n", p.ca)
		}
	default:
		if old, err := os.ReadFile(p.config); err == nil {
			if err := draft(p.config+".old", string(old), 0o640); err != nil {
				return err
			}
			fmt.Fprintf(&told, "kept  the old configuration as %s.old\n", p.config)
		}
		if err := draft(p.config, text, 0o640); err != nil {
			return err
		}
		fmt.Fprintf(&told, "wrote %s\n", p.config)
	}
	if err := wholefile.Share(p.waiting(), group, 0o640); err != nil {
		return err
	}
	for len(drafts) > 0 {
		d := drafts[0]
		drafts = drafts[1:]
		if err := d.Put(); err != nil {
			return unwritten("put in its place", d.Name(), err)
		}
	}
	if err := errors.Join(os.Rename(p.waiting(), p.c.SecretFile), wholefile.SyncFolder(filepath.Dir(p.c.SecretFile))); err != nil {
		return unwritten("put the secret in its place as", p.c.SecretFile, err)
	}
	fmt.Fprintf(out, "%swrote %s, this agent's secret\n", told.String(), p.c.SecretFile)
	return nil
}

// unwritten says what of the disk is in the way, and what to do about it.
func unwritten(what, file string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	plain := err
	if errors.As(err, &path) {
		plain = path.Err
	} else if errors.As(err, &link) {
		plain = link.Err
	}
	dir := filepath.Dir(file)
	next := "look at the disk"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		next = "free space there (df -h " + dir + " shows it)"
	case errors.Is(err, syscall.EROFS):
		next = "that file system is read-only; mount it writable, or look at the log why it is not (dmesg)"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		next = "run this as root"
	case errors.Is(err, fs.ErrPermission):
		next = "look at the rights of " + dir + " (ls -ld, lsattr -d)"
	}
	return fmt.Errorf("%s %s: %w; %s, then run this again with the same token", what, file, plain, next)
}
