package main

import (
	"errors"
	"os"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/conf"
)

// defaultFile is read when no --config is given, and may be missing then.
const defaultFile = "/etc/nabz/collector.toml"

// fileFlag is what every command that reads the configuration takes.
type fileFlag struct {
	ConfigFile string `name:"config" placeholder:"FILE" env:"NABZ_CONFIG" help:"Configuration. Default: /etc/nabz/collector.toml where that is."`
}

type runCommand struct {
	fileFlag
	MQTTListen string `name:"mqtt-listen" placeholder:"ADDRESS" env:"NABZ_MQTT_LISTEN" help:"Where agents connect (mqtt.listen)."`
	WebListen  string `name:"web-listen" placeholder:"ADDRESS" env:"NABZ_WEB_LISTEN" help:"Where the board is (web.listen)."`
	DataDir    string `name:"data-dir" placeholder:"DIR" env:"NABZ_DATA_DIR" help:"Folder of the dead letters (data_dir)."`
	Role       string `name:"role" placeholder:"all|intake|board" env:"NABZ_ROLE" help:"What this collector does of the whole: all, intake or board (role)."`
	LogLevel   string `name:"log-level" placeholder:"debug|info|warn|error" env:"NABZ_LOG_LEVEL" help:"debug, info, warn or error (log_level)."`
}

// load reads the file, lets flags and environment win, and checks the whole.
func (r *runCommand) load() (collector.Config, error) {
	c, doc, err := r.fileFlag.read()
	if doc == nil {
		return c, err
	}
	set := func(to *string, key, flag, env, value string) {
		switch {
		case value == "":
			return
		case flag == "" || os.Getenv(env) == value:
			doc.Override(key, "environment "+env)
		default:
			doc.Override(key, "flag "+flag)
		}
		*to = value
	}
	set(&c.MQTT.Listen, "mqtt.listen", "--mqtt-listen", "NABZ_MQTT_LISTEN", r.MQTTListen)
	set(&c.Web.Listen, "web.listen", "--web-listen", "NABZ_WEB_LISTEN", r.WebListen)
	set(&c.DataDir, "data_dir", "--data-dir", "NABZ_DATA_DIR", r.DataDir)
	set(&c.Role, "role", "--role", "NABZ_ROLE", r.Role)
	set(&c.LogLevel, "log_level", "--log-level", "NABZ_LOG_LEVEL", r.LogLevel)
	set(&c.Influx.URL, "influx.url", "", "INFLUX_URL", os.Getenv("INFLUX_URL"))
	set(&c.Influx.Token, "influx.token", "", "INFLUX_TOKEN", os.Getenv("INFLUX_TOKEN"))
	set(&c.Influx.Org, "influx.org", "", "INFLUX_ORG", os.Getenv("INFLUX_ORG"))
	return c, errors.Join(err, c.Validate(doc))
}

// read reads the file. Without a document there is nothing to go on with.
func (f *fileFlag) read() (collector.Config, *conf.Doc, error) {
	c := collector.Defaults()
	file, given := f.ConfigFile, f.ConfigFile != ""
	if !given {
		file = defaultFile
	}
	doc, err := conf.Load(file, &c)
	if doc == nil && !given && errors.Is(err, os.ErrNotExist) {
		doc, err = conf.Parse(file, nil, &c)
	}
	return c, doc, err
}
