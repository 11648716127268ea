package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/archive"
)

type reportPublish struct {
	questionFlags
	Title string `name:"title" placeholder:"TEXT" help:"What the list of reports calls it. Default: period and sites."`
	As    string `name:"as" placeholder:"NAME" help:"Who publishes it. Default: the user of this machine."`
}

func (p *reportPublish) do(ctx context.Context, stdout, stderr io.Writer) error {
	d, st, c, err := p.desk()
	if err != nil {
		return err
	}
	defer st.Close()
	r, err := p.questionFlags.make(ctx, d, stderr)
	if err != nil {
		return err
	}
	rev, fresh, err := collector.Publish(collector.Reports(c, time.Now), &r, p.Title, publisher(p.As), time.Now())
	detail := "sha256 " + rev.SHA256
	if !fresh {
		detail = "nothing had changed, " + detail
	}
	if err := recorded(c, "publish report", rev.Permalink(), asWhom(detail, p.As), err); err != nil {
		return err
	}
	if !fresh {
		_, err = fmt.Fprintf(stdout, "%s is published already, and the ledger has not changed\nSHA-256 %s\n", rev.Permalink(), rev.SHA256)
		return err
	}
	fmt.Fprintf(stdout, "published %s\nSHA-256 %s\n", rev.Permalink(), rev.SHA256)
	if link := collector.ReportLink(c, rev); link != "" {
		fmt.Fprintln(stdout, link)
	}
	for _, ch := range rev.Changes.List {
		fmt.Fprintf(stdout, "  %s\n", ch)
	}
	if rev.Changes.More > 0 {
		fmt.Fprintf(stdout, "  and %d more\n", rev.Changes.More)
	}
	_, err = fmt.Fprintf(stdout, "next: nabz-collector report show %s -o report.pdf, or report share %s --label WHOM\n", rev.Permalink(), rev.ID)
	return err
}

// publisher is who stands beside what is published or shared.
func publisher(as string) string { return cmp.Or(as, typist()) }

// asWhom adds to what the audit log tells in whose name it was done.
func asWhom(detail, as string) string {
	if as == "" {
		return detail
	}
	return detail + ", as " + as
}

type reportList struct {
	JSON bool `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

func (l *reportList) do(stdout io.Writer) error {
	c, err := l.checked()
	if err != nil {
		return err
	}
	all, err := collector.Reports(c, time.Now).List()
	for _, one := range all {
		err = errors.Join(append([]error{err}, one.Damage...)...)
	}
	if l.JSON {
		return errors.Join(err, printJSON(stdout, notNull(all)))
	}
	if len(all) == 0 && err == nil {
		_, err = fmt.Fprintln(stdout, "no report is published; nabz-collector report publish makes one")
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tREVISION\tPUBLISHED (UTC)\tBY\tTITLE\tSHA-256")
	for _, one := range all {
		if len(one.Revisions) == 0 { // all are damaged: the error names them
			continue
		}
		n := one.Newest()
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%.12s…\n", one.ID, n.Number, minute(n.At), cell(n.Who), reason(n.Title), n.SHA256)
	}
	return errors.Join(err, t.Flush())
}

type reportShow struct {
	ID string `arg:"" placeholder:"REPORT" help:"Id of a published report, with a revision behind it where it is not the newest: 2026-10-all-3f9a0c/1."`
	formFlags
	fileFlag
}

func (s *reportShow) do(stdout, stderr io.Writer) error {
	form, err := s.form(stdout)
	if err != nil {
		return err
	}
	c, err := s.checked()
	if err != nil {
		return err
	}
	id, number := revision(s.ID)
	rev, doc, err := collector.Reports(c, time.Now).Get(id, number)
	if err != nil {
		return err
	}
	p, err := s.printer(c, collector.ReportLink(c, rev))
	if err != nil {
		return err
	}
	return s.write(p, form, doc, rev, stdout, stderr)
}

// revision parts "id/2"; 0 is the newest.
func revision(text string) (id string, number int) {
	id, n, ok := strings.Cut(text, "/")
	if !ok {
		return id, 0
	}
	if number, err := strconv.Atoi(n); err == nil && number > 0 && strconv.Itoa(number) == n {
		return id, number
	}
	return text, 0 // no id has a slash
}

type reportShare struct {
	ID    string `arg:"" placeholder:"REPORT" help:"Id of a published report."`
	Label string `name:"label" placeholder:"TEXT" help:"For whom it is, so that others know what to revoke."`
	Days  int    `name:"days" placeholder:"N" help:"For how many days it can be read. Default: until it is revoked."`
	As    string `name:"as" placeholder:"NAME" help:"Who gives it out. Default: the user of this machine."`
	fileFlag
}

func (s *reportShare) do(stdout, stderr io.Writer) error {
	c, err := s.checked()
	if err != nil {
		return err
	}
	if s.Days < 0 || s.Days > 3660 {
		return fmt.Errorf("--days %d is not between 1 and 3660", s.Days)
	}
	if strings.TrimSpace(s.Label) == "" {
		return errors.New("say with --label for whom the link is, so that others know what to revoke")
	}
	var until time.Time
	if s.Days > 0 {
		until = time.Now().AddDate(0, 0, s.Days)
	}
	reports := collector.Reports(c, time.Now)
	token, share, err := reports.Share(s.ID, s.Label, publisher(s.As), until)
	if err != nil {
		return err
	}
	if err := recorded(c, "share report", s.ID, asWhom("link "+share.ID+" for "+s.Label, s.As), nil); err != nil {
		_, revoked := reports.Revoke(share.ID, publisher(s.As)) // nobody has it
		return errors.Join(fmt.Errorf("no link is given out: %w", err), revoked)
	}
	if _, err = fmt.Fprintln(stdout, collector.ShareLink(c, token)); err != nil {
		return err
	}
	if c.Alert.BoardURL == "" {
		fmt.Fprintln(stderr, "put the address of the board before it, or set alert.board_url")
	}
	_, err = fmt.Fprintf(stderr, "whoever has this link reads the report, and nothing else; it is not shown again\ntake it back: nabz-collector report revoke %s\n", share.ID)
	return err
}

type reportShares struct {
	JSON bool `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

func (s *reportShares) do(stdout io.Writer) error {
	c, err := s.checked()
	if err != nil {
		return err
	}
	all, err := collector.Reports(c, time.Now).Shares()
	if s.JSON {
		return errors.Join(err, printJSON(stdout, notNull(all)))
	}
	if len(all) == 0 && err == nil {
		_, err = fmt.Fprintln(stdout, "no link was given out; nabz-collector report share makes one")
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LINK\tREPORT\tFOR\tGIVEN OUT BY\tSTATE")
	for _, one := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", one.ID, one.Report, cell(one.Label), cell(one.Who), shareState(one, time.Now()))
	}
	return errors.Join(err, t.Flush())
}

// notNull is a list that JSON has as one, also where it is empty.
func notNull[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// shareState is how far a link has come.
func shareState(s archive.Share, now time.Time) string {
	switch {
	case !s.Revoked.IsZero():
		return "revoked " + minute(s.Revoked)
	case !s.Open(now):
		return "ended " + minute(s.Until)
	case !s.Until.IsZero():
		return "open until " + minute(s.Until)
	}
	return "open"
}

type reportRevoke struct {
	ID string `arg:"" placeholder:"LINK" help:"Id of the link, as report shares prints it."`
	As string `name:"as" placeholder:"NAME" help:"Who takes it back. Default: the user of this machine."`
	fileFlag
}

func (r *reportRevoke) do(stderr io.Writer) error {
	c, err := r.checked()
	if err != nil {
		return err
	}
	share, err := collector.Reports(c, time.Now).Revoke(r.ID, publisher(r.As))
	if err := recorded(c, "revoke link", share.Report, asWhom("link "+r.ID+" for "+share.Label, r.As), err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "link %s leads nowhere any more\n", share.ID)
	return err
}
