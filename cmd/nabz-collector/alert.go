package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/alert"
)

type alertCommand struct {
	List alertList `cmd:"" help:"Print the alerts that go on."`
	Test alertTest `cmd:"" help:"Prove that a channel works."`
}

type alertList struct {
	JSON bool `name:"json" help:"Print JSON, for other programs."`
	fileFlag
}

// alertState is what --json prints.
type alertState struct {
	Active     []alert.Alert    `json:"active"`
	Recent     []alert.Alert    `json:"recent"`
	Deliveries []alert.Delivery `json:"deliveries"`
}

func (l *alertList) do(stdout io.Writer) error {
	c, err := l.checked()
	if err != nil {
		return err
	}
	active, recent, tries, err := alert.Read(c.AlertFile())
	if err != nil {
		return fmt.Errorf("read the state of the alerts: %w", err)
	}
	if l.JSON {
		return printJSON(stdout, alertState{append([]alert.Alert{}, active...), append([]alert.Alert{}, recent...), append([]alert.Delivery{}, tries...)})
	}
	if len(active) == 0 {
		fmt.Fprintln(stdout, "no alert goes on")
	} else {
		t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SINCE (UTC)\tSEVERITY\tALERT\tTAKEN CARE OF BY\tID")
		for _, a := range active {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", minute(a.Began), a.Severity, reason(a.Title), cell(a.AcknowledgedBy), a.ID)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(tries) == 0 {
		return nil
	}
	fmt.Fprintln(stdout, "\nlast told:")
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, d := range tries[:min(10, len(tries))] {
		how := "taken"
		if d.Err != "" {
			if how = "not taken: " + reason(d.Err); !d.Next.IsZero() {
				how += "; again at " + minute(d.Next)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", minute(d.At), d.Channel, d.What, cmp.Or(d.Alert, "-"), how)
	}
	return t.Flush()
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

type alertTest struct {
	Channel string `arg:"" optional:"" placeholder:"CHANNEL" help:"The name of one; without it all are told."`
	fileFlag
}

func (a *alertTest) do(ctx context.Context, stdout io.Writer) error {
	c, err := a.checked()
	if err != nil {
		return err
	}
	ways, err := c.AlertWays()
	if err != nil {
		return err
	}
	var names []string
	var faults []error
	done := false
	for _, ch := range ways.Channels {
		names = append(names, ch.Name())
		if a.Channel != "" && a.Channel != ch.Name() {
			continue
		}
		done = true
		sent, answer, err := alert.Test(ctx, ch, c.Alert.BoardURL, time.Now())
		fmt.Fprintf(stdout, "channel %s was sent:\n%s\n", ch.Name(), indented(sent))
		if err != nil {
			fmt.Fprintln(stdout, "and has not taken it")
			faults = append(faults, err)
			continue
		}
		fmt.Fprintf(stdout, "and answered: %s\n", answer)
	}
	if ways.Heartbeat != "" {
		names = append(names, alert.HeartbeatName)
		if a.Channel == "" || a.Channel == alert.HeartbeatName {
			done = true
			if err := alert.TestHeartbeat(ctx, ways.Heartbeat); err != nil {
				faults = append(faults, err)
			} else {
				fmt.Fprintln(stdout, "the address of the heartbeat was asked for, and answered")
			}
		}
	}
	switch {
	case len(names) == 0:
		return errors.New("nobody is told of alerts; set alert.urls_file or alert.alertmanager")
	case !done:
		return fmt.Errorf("no channel is named %q; there are: %s", a.Channel, strings.Join(names, ", "))
	}
	return errors.Join(faults...)
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// checked reads the configuration and checks all of it.
func (f *fileFlag) checked() (collector.Config, error) {
	c, doc, err := f.read()
	if doc == nil {
		return c, err
	}
	return c, errors.Join(err, c.Validate(doc))
}
