package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/manual"
	"github.com/smartvillage/nabz/internal/reference"
)

func main() { os.Exit(command.Run("manual", run, os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) != 2 || args[0] != "reference" && args[0] != "pages" {
		return command.Usage(errors.New("want: manual reference FILE, or manual pages DIR"))
	}
	scratch, err := os.MkdirTemp("", "nabz-manual-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	agent, collector, err := programs(ctx, scratch)
	if err != nil {
		return err
	}
	files, err := reference.Files(".", scratch)
	if err != nil {
		return err
	}
	if args[0] == "reference" {
		return os.WriteFile(args[1], []byte(reference.Markdown(files, agent, collector)), 0o644)
	}
	return pages(ctx, args[1], filepath.Join(scratch, "nabz-collector"), files, agent, collector)
}

// programs builds both and reads their help.
func programs(ctx context.Context, dir string) (agent, collector manual.Program, err error) {
	for _, name := range []string{"nabz-agent", "nabz-collector"} {
		out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), "./cmd/"+name).CombinedOutput()
		if err != nil {
			return agent, collector, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	whole, err := page(ctx, filepath.Join(dir, "nabz-agent"))
	if err != nil {
		return agent, collector, err
	}
	agent = manual.Split(whole)
	bin := filepath.Join(dir, "nabz-collector")
	if whole, err = page(ctx, bin); err != nil {
		return agent, collector, err
	}
	collector = manual.Program{Name: whole.Name, Pages: []manual.Page{whole}}
	for _, c := range whole.Section(manual.Commands).Items {
		one, err := page(ctx, bin, strings.Fields(c.Term)...)
		if err != nil {
			return agent, collector, err
		}
		collector.Pages = append(collector.Pages, one)
	}
	return agent, collector, nil
}

// page asks a program for its help.
func page(ctx context.Context, bin string, command ...string) (manual.Page, error) {
	cmd := exec.CommandContext(ctx, bin, append(command, "--help")...)
	out, err := cmd.Output()
	if err != nil {
		return manual.Page{}, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	p, err := manual.Parse(string(out))
	if err != nil {
		return p, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return p, nil
}

// pages writes manual pages and completions into a folder.
func pages(ctx context.Context, dir, bin string, files []reference.File, agent, collector manual.Program) error {
	on, err := date(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	texts := map[string]string{"nabz-agent.8": agent.Mdoc(8, on), "nabz-collector.8": collector.Mdoc(8, on)}
	for _, f := range files[:2] {
		p := f.Page()
		texts[p.Name+".5"] = p.Mdoc(5, on)
	}
	for shell, name := range map[string]string{"bash": "%s.bash", "zsh": "_%s", "fish": "%s.fish"} {
		if texts[fmt.Sprintf(name, agent.Name)], err = agent.Completion(shell); err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, bin, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("nabz-collector completion %s: %w", shell, err)
		}
		texts[fmt.Sprintf(name, collector.Name)] = string(out)
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// date is what manual pages bear.
func date(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("find the date of the last commit: %w; set SOURCE_DATE_EPOCH", err)
		}
		text = strings.TrimSpace(string(out))
	}
	s, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s is no number of seconds: %w", text, err)
	}
	return time.Unix(s, 0).UTC(), nil
}
