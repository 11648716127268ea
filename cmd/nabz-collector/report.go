package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/progress"
	"github.com/smartvillage/nabz/internal/wholefile"
)

type reportCommand struct {
	Make       reportMake       `cmd:"" default:"withargs" help:"Make a report (the default)."`
	Verify     reportVerify     `cmd:"" help:"Make a report again and tell what differs."`
	Benchmarks reportBenchmarks `cmd:"" help:"What a report can be measured against."`
	Publish    reportPublish    `cmd:"" help:"Make a report and keep it for ever."`
	List       reportList       `cmd:"" help:"Print the published reports."`
	Show       reportShow       `cmd:"" help:"Write a published report in any form."`
	Share      reportShare      `cmd:"" help:"Print a link by which anybody can read a published report."`
	Shares     reportShares     `cmd:"" help:"Print the links that were given out."`
	Revoke     reportRevoke     `cmd:"" help:"Take a link back."`
}

// questionFlags are what a report is asked for with.
type questionFlags struct {
	Period     string   `name:"period" placeholder:"PERIOD" help:"2026-10, 2026-Q4, 2026, 2026-10-01/2026-10-15 (both days whole), or last-month, this-month, last-quarter … Default: last-month."`
	Sites      []string `name:"sites" sep:"none" placeholder:"SITES" help:"all, ids with commas between, or district=, operator=, technology=, upstream= with a name. May be given several times. Default: all."`
	TimeZone   string   `name:"time-zone" placeholder:"ZONE" help:"Whose calendar the period follows, an IANA name such as Asia/Karachi. Default: web.time_zone."`
	PeakHours  string   `name:"peak-hours" placeholder:"HOURS" help:"Peak hours by the clock of each site. Default: report.peak_hours."`
	Benchmarks []string `name:"benchmarks" placeholder:"ID" help:"What to measure against, with commas between; none for none. Default: report.benchmarks."`
	fileFlag
}

// formFlags are how a report is written.
type formFlags struct {
	Format   string `name:"format" placeholder:"text|json|html|pdf|xlsx|csv" help:"text, json, html, pdf, xlsx, or csv (a zip of all tables and their dictionary). Default: by the end of the name in --output, else text."`
	Output   string `name:"output" short:"o" placeholder:"FILE" help:"Where to write it; \"-\" is standard output, the default."`
	Language string `name:"language" placeholder:"en|ur" default:"en" help:"Language of text, html and pdf: en or ur."`
}

// desk opens what reports are made from. The caller closes the store.
func (f *fileFlag) desk() (*report.Desk, *store.Store, collector.Config, error) {
	run := runCommand{fileFlag: *f} // InfluxDB's address and token may be in the environment
	c, err := run.load()
	if err != nil {
		return nil, nil, c, err
	}
	s, err := collector.OpenStore(c)
	if err != nil {
		return nil, nil, c, err
	}
	d, err := collector.NewDesk(c, s, time.Now)
	if err != nil {
		s.Close()
		return nil, nil, c, err
	}
	return d, s, c, nil
}

// make answers the question, with progress on stderr.
func (q *questionFlags) make(ctx context.Context, d *report.Desk, stderr io.Writer) (r report.Report, err error) {
	a, err := d.Ask(report.Question{Period: q.Period, Sites: q.Sites, TimeZone: q.TimeZone, PeakHours: q.PeakHours, Benchmarks: q.Benchmarks})
	if err != nil {
		return r, err
	}
	bar, n := progress.New(stderr, "report of "+a.Period.Text, "sites", time.Now), int64(len(a.Sites))
	r, err = d.Make(ctx, a, func(done float64) { bar.Show(done, int64(done*float64(n))) })
	if err == nil {
		bar.Finish("made")
	}
	return r, err
}

type reportMake struct {
	questionFlags
	formFlags
}

func (m *reportMake) do(ctx context.Context, stdout, stderr io.Writer) error {
	form, err := m.form(stdout)
	if err != nil {
		return err
	}
	d, s, c, err := m.desk()
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := m.printer(c, "")
	if err != nil {
		return err
	}
	r, err := m.questionFlags.make(ctx, d, stderr)
	if err != nil {
		return err
	}
	doc, err := r.Canonical()
	if err != nil {
		return err
	}
	return m.write(p, form, doc, archive.Revision{}, stdout, stderr)
}

// form is the chosen form, checked before the work is done.
func (f *formFlags) form(stdout io.Writer) (string, error) {
	form := f.Format
	if form == "" {
		form = strings.TrimPrefix(filepath.Ext(f.Output), ".")
		switch form {
		case "zip":
			form = collector.FormCSV
		case "", "txt":
			form = collector.FormText
		}
	}
	if !slices.Contains(collector.Forms(), form) {
		return "", fmt.Errorf("a report is not written as %q; choose one of %s with --format", form, strings.Join(collector.Forms(), ", "))
	}
	if dir := filepath.Dir(f.Output); f.Output != "" && f.Output != "-" {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return "", fmt.Errorf("there is no folder %s for --output %s; make it, or name another", dir, f.Output)
		}
	}
	if f.Output == "" && slices.Contains([]string{collector.FormPDF, collector.FormXLSX, collector.FormCSV}, form) && progress.Terminal(stdout) {
		return "", fmt.Errorf("%s is no text for a terminal; name a file with -o, such as -o report.%s", form, strings.Replace(form, "csv", "zip", 1))
	}
	return form, nil
}

// printer is for the chosen language.
func (f *formFlags) printer(c collector.Config, link string) (collector.Printer, error) {
	set, err := collector.Languages(c)
	if err != nil {
		return collector.Printer{}, err
	}
	t, err := set.Text(f.Language)
	return collector.Printer{Text: t, Link: link}, err
}

// write writes a report whole, or leaves what was there as it is.
func (f *formFlags) write(p collector.Printer, form string, doc []byte, rev archive.Revision, stdout, stderr io.Writer) error {
	var b bytes.Buffer
	if err := p.Print(&b, form, doc, rev); err != nil {
		return fmt.Errorf("write report as %s: %w", form, err)
	}
	if f.Output == "" || f.Output == "-" {
		_, err := stdout.Write(b.Bytes())
		return err
	}
	if err := replaceFile(f.Output, b.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := fmt.Fprintf(stderr, "%s: %s, %d bytes; SHA-256 of its figures %s\n", f.Output, form, b.Len(), report.Hash(doc))
	return err
}

// replaceFile writes a file whole, or leaves what was there as it is. What is no plain file, such as a pipe, is written to.
func replaceFile(name string, data []byte) error {
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		return os.WriteFile(name, data, 0o644)
	}
	return wholefile.Replace(name, data, 0o644)
}

type reportVerify struct {
	File string `arg:"" placeholder:"FILE|REPORT" help:"A report as JSON, or the id of a published one, such as 2026-10-all-3f9a0c or 2026-10-all-3f9a0c/2."`
	JSON bool   `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

// maxDiffers bounds the list of what differs.
const maxDiffers = 100

func (v *reportVerify) do(ctx context.Context, stdout, stderr io.Writer) error {
	d, s, c, err := v.desk()
	if err != nil {
		return err
	}
	defer s.Close()
	file, err := os.ReadFile(v.File)
	if err != nil {
		id, number := revision(v.File)
		if archive.CheckID(id) != nil || !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read report: %w", err)
		}
		if _, file, err = collector.Reports(c, time.Now).Get(id, number); err != nil {
			return err
		}
	}
	r, doc, err := report.Parse(file)
	if err != nil {
		return fmt.Errorf("%s: %w", v.File, err)
	}
	bar, n := progress.New(stderr, "verify "+r.Asked.Period, "sites", time.Now), int64(len(r.Asked.Roster))
	old, now, err := report.Differs(ctx, d.Querier, doc, func(done float64) { bar.Show(done, int64(done*float64(n))) })
	if err != nil {
		return err
	}
	bar.Finish("made again")
	changes, err := archive.Diff(old, now, maxDiffers)
	if err != nil {
		return err
	}
	other, gone, err := askedToday(d, r.Asked)
	if err != nil {
		return err
	}
	if v.JSON {
		err = printJSON(stdout, struct {
			File    string          `json:"file"`
			SHA256  string          `json:"sha256"`
			Ledger  string          `json:"ledger_sha256"`
			Same    bool            `json:"same"`
			Changes archive.Changes `json:"changes"`
			Asked   archive.Changes `json:"asked"` // what would be asked otherwise today
		}{v.File, report.Hash(old), report.Hash(now), bytes.Equal(old, now), changes, other})
	} else {
		err = errors.Join(verdict(stdout, v.File, file, old, now, changes), standsOn(stdout, other, gone))
	}
	if err == nil && !bytes.Equal(old, now) {
		err = fmt.Errorf("%s says something else than the ledger", v.File)
	}
	return err
}

// askedToday compares what a report was asked with what the sites file and the benchmarks would make of it today; gone is what they have no more.
func askedToday(d *report.Desk, was report.Asked) (other archive.Changes, gone, err error) {
	today, gone := d.Today(was)
	old, err := json.Marshal(was)
	if err != nil {
		return other, gone, err
	}
	now, err := json.Marshal(today)
	if err != nil {
		return other, gone, err
	}
	other, err = archive.Diff(old, now, maxDiffers)
	return other, gone, err
}

// standsOn says what of the sites and limits is not as it is today: the ledger cannot know whether they were the right ones.
func standsOn(w io.Writer, other archive.Changes, gone error) error {
	if len(other.List) == 0 && gone == nil {
		return nil
	}
	fmt.Fprintln(w, "it stands on sites or benchmarks that are not those of today; see whether they were changed for a reason, in the report and today:")
	if gone != nil {
		fmt.Fprintf(w, "  %v\n", gone)
	}
	return list(w, other)
}

// list prints changes.
func list(w io.Writer, changes archive.Changes) (err error) {
	for _, ch := range changes.List {
		_, err = fmt.Fprintf(w, "  %s\n", ch)
	}
	if changes.More > 0 {
		_, err = fmt.Fprintf(w, "  and %d more\n", changes.More)
	}
	return err
}

// verdict says what differs, in words.
func verdict(w io.Writer, name string, file, old, now []byte, changes archive.Changes) error {
	fmt.Fprintf(w, "%s\n  SHA-256 of its figures  %s\n", name, report.Hash(old))
	if !bytes.Equal(bytes.TrimSpace(file), old) {
		fmt.Fprintf(w, "  the file is not written in the canonical way (RFC 8785), so sha256sum prints another; its figures are these all the same\n")
	}
	if bytes.Equal(old, now) {
		_, err := fmt.Fprintln(w, "  the ledger gives the same report, byte for byte")
		return err
	}
	fmt.Fprintf(w, "  the ledger gives        %s\n", report.Hash(now))
	fmt.Fprintf(w, "what differs, in the report and in the ledger today:\n")
	if err := list(w, changes); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "lines may have come late (publish it again: it becomes a new revision), or the file was changed")
	return err
}

type reportBenchmarks struct {
	Show string `name:"show" placeholder:"ID" help:"Print one as a file to copy and change."`
	fileFlag
}

func (b *reportBenchmarks) do(stdout io.Writer) error {
	c, err := b.checked()
	if err != nil {
		return err
	}
	set, err := collector.Benchmarks(c)
	if err != nil {
		return err
	}
	if b.Show != "" {
		return set.Show(stdout, b.Show)
	}
	return set.List(stdout)
}
