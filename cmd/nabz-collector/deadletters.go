package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/intake"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/progress"
)

type deadLettersCommand struct {
	List   lettersList   `cmd:"" help:"Print what could not be stored, one batch a line."`
	Show   lettersShow   `cmd:"" help:"Print the lines of one, with the reason of each."`
	Replay lettersReplay `cmd:"" help:"Write them to InfluxDB again."`
}

// do runs one of the three. Which is the path of the command.
func (d *deadLettersCommand) do(ctx context.Context, which string, stdout, stderr io.Writer) error {
	switch which {
	case "dead-letters list":
		return d.List.do(stdout, stderr)
	case "dead-letters show <id>":
		return d.Show.do(stdout)
	}
	return d.Replay.do(ctx, stderr)
}

type lettersList struct {
	JSON bool `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

func (l *lettersList) do(stdout, stderr io.Writer) error {
	letters, c, err := l.letters("", false)
	if err != nil {
		return err
	}
	if l.JSON {
		return writeJSON(stdout, letters)
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintf(stderr, "no dead letters in %s\n", c.DeadLetters())
		return err
	}
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tWHEN (UTC)\tSITE/AGENT\tLINES\tREASON")
	for _, d := range letters {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.At.UTC().Format("2006-01-02 15:04:05"), d.From, lines(d), reason(d.Reason))
	}
	return out.Flush()
}

// lines is a count; "?" where the message cannot be opened.
func lines(d intake.DeadLetter) string {
	if d.Lines == 0 {
		return "?"
	}
	return fmt.Sprint(d.Lines)
}

// reason fits a line of a terminal. It may hold what an agent sent.
func reason(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return strings.Join(strings.Fields(s), " ")
}

type lettersShow struct {
	ID   string `arg:"" help:"As list prints it; the first digits are enough."`
	JSON bool   `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

func (s *lettersShow) do(stdout io.Writer) error {
	letters, c, err := s.letters(s.ID, true)
	if err != nil {
		return err
	}
	d, err := only(letters, s.ID, c.DeadLetters())
	if err != nil {
		return err
	}
	if s.JSON {
		return writeJSON(stdout, d)
	}
	of := "a whole message"
	if d.Batch != "" {
		of = "batch " + d.Batch
	}
	if _, err := fmt.Fprintf(stdout, "id     %s\nwhen   %s\nfrom   %s, %s\nlines  %s\nreason %s\n", d.ID, d.At.UTC().Format(time.RFC3339), d.From, of, lines(d), d.Reason); err != nil {
		return err
	}
	for _, p := range d.Parts {
		number, why := "", ""
		if p.Line > 0 {
			number = fmt.Sprintf("line %d", p.Line)
		}
		if p.Reason != "" && p.Reason != d.Reason {
			why = ": " + p.Reason
		}
		if head := number + why; head != "" {
			fmt.Fprintln(stdout, strings.TrimPrefix(head, ": "))
		}
		if _, err := fmt.Fprintln(stdout, "  "+p.Text); err != nil {
			return err
		}
	}
	return nil
}

// only is the one letter that an id names.
func only(letters []intake.DeadLetter, id, dir string) (intake.DeadLetter, error) {
	switch len(letters) {
	case 0:
		return intake.DeadLetter{}, fmt.Errorf("no dead letter %q in %s; nabz-collector dead-letters list prints them", id, dir)
	case 1:
		return letters[0], nil
	}
	return intake.DeadLetter{}, fmt.Errorf("%d dead letters begin with %q; write more of the id", len(letters), id)
}

type lettersReplay struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"As list prints them."`
	All    bool     `help:"All of them."`
	DryRun bool     `name:"dry-run" help:"Only hold them against the rules of the intake, and write nothing."`
	fileFlag
}

func (r *lettersReplay) do(ctx context.Context, stderr io.Writer) error {
	if r.All == (len(r.IDs) > 0) {
		return command.Usage(errors.New("say which: replay ID..., or replay --all"))
	}
	run := runCommand{fileFlag: r.fileFlag} // InfluxDB's address and token may be in the environment
	c, err := run.load()
	if err != nil {
		return err
	}
	var ids []string
	for _, id := range r.IDs {
		letters, err := intake.ListDeadLetters(c.DeadLetters(), id, false)
		if err != nil {
			return err
		}
		d, err := only(letters, id, c.DeadLetters())
		if err != nil {
			return err
		}
		ids = append(ids, d.ID)
	}
	bar, began := progress.New(stderr, "replay", "lines", time.Now), time.Now()
	sum, err := collector.ReplayDeadLetters(ctx, c, ids, r.All, r.DryRun, bar.Show, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err == nil && time.Since(began) > 2*time.Second {
		bar.Finish("done")
	}
	bar.Close()
	return errors.Join(r.tell(stderr, sum), blame(err))
}

// tell says what was done.
func (r *lettersReplay) tell(stderr io.Writer, sum intake.Replayed) error {
	words := fmt.Sprintf("%d dead letters: %d lines are stored and taken away, %d stay\n", sum.Letters, sum.Stored, sum.Refused)
	if r.DryRun {
		words = fmt.Sprintf("%d dead letters: %d lines would be written, and stored where InfluxDB takes them; %d break the rules still\n", sum.Letters, sum.Stored, sum.Refused)
	}
	if _, err := io.WriteString(stderr, words); err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(sum.Reasons)) {
		if _, err := fmt.Fprintf(stderr, "  %d: %s\n", sum.Reasons[why], reason(why)); err != nil {
			return err
		}
	}
	return nil
}

// blame says what to do when the replay was broken off.
func blame(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("not all were tried: %w; what is stored is taken away, the others are kept: run it again", err)
}

// letters reads the configuration and the folder.
func (f *fileFlag) letters(id string, parts bool) ([]intake.DeadLetter, collector.Config, error) {
	c, _, err := f.read()
	if err != nil {
		return nil, c, err
	}
	letters, err := intake.ListDeadLetters(c.DeadLetters(), id, parts)
	return letters, c, err
}

func writeJSON(stdout io.Writer, v any) error {
	e := json.NewEncoder(stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
