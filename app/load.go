package app

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// envPrefix begins every environment variable that overrides a key.
const envPrefix = "COMMSD_"

// Load reads the configuration: the defaults, over them the YAML file at path
// (none when path is empty), over that the environment ("http.listen" is
// COMMSD_HTTP_LISTEN). The result is validated. An error names the file's line
// or the key at fault, in one line.
func Load(path string, environ []string, demo bool) (Config, error) {
	cfg := Default()
	cfg.Demo = demo
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("--config: cannot read the file: %w", err)
		}
		if err := decode(text, &cfg); err != nil {
			return Config{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := overrideByEnv(&cfg, environ); err != nil {
		return Config{}, err
	}
	if err := cfg.Validate(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func decode(text []byte, cfg *Config) error {
	if empty(text) {
		return nil // the decoder would clear the defaults
	}
	err := yaml.UnmarshalWithOptions(text, cfg, yaml.Strict())
	if err == nil {
		return nil
	}
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		return fmt.Errorf("line %d: %s; see docs/configuration.md for the keys", unknown.Token.Position.Line, unknown.Message)
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, inWords(oneLine(at.GetMessage())))
	}
	return errors.New(oneLine(err.Error()))
}

// inWords says in an administrator's words what the decoder says in its own.
func inWords(message string) string {
	if _, expected, found := strings.Cut(message, " was used where "); found && expected == "sequence is expected" {
		return "a list belongs here: write it in brackets, such as [203.0.113.7]"
	}
	return message
}

// empty tells a file of comments alone, which means the defaults.
func empty(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		if l := strings.TrimSpace(line); l != "" && l != "---" && !strings.HasPrefix(l, "#") {
			return false
		}
	}
	return true
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// field is one key of the configuration with the place it is stored at.
type field struct {
	key   string // "http.tls.cert"
	value reflect.Value
}

// env is the variable that overrides the key.
func (f field) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// fields lists all keys of cfg, which must be a pointer to a struct.
func fields(cfg any) []field {
	var list []field
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == "-" {
				continue
			}
			if f := v.Field(i); f.Kind() == reflect.Struct {
				walk(prefix+name+".", f)
			} else {
				list = append(list, field{key: prefix + name, value: f})
			}
		}
	}
	walk("", reflect.ValueOf(cfg).Elem())
	return list
}

// Keys lists every key of the configuration, "http.listen" and the like.
func Keys() []string {
	cfg := Default()
	var keys []string
	for _, f := range fields(&cfg) {
		keys = append(keys, f.key)
	}
	return keys
}

func overrideByEnv(cfg *Config, environ []string) error {
	known := map[string]field{}
	for _, f := range fields(cfg) {
		known[f.env()] = f
	}
	for _, e := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) || foreign(name) {
			continue
		}
		f, ok := known[name]
		if !ok {
			return fmt.Errorf("%s: no configuration key has this environment variable; unset it, or see docs/configuration.md for the keys", name)
		}
		// A value is YAML, so lists and maps read as in the file; a plain
		// string is taken as it stands.
		if f.value.Kind() == reflect.String {
			f.value.SetString(value)
			continue
		}
		if err := yaml.UnmarshalWithOptions([]byte(value), f.value.Addr().Interface(), yaml.Strict()); err != nil {
			return fmt.Errorf("%s: the value does not fit %s: want %s", name, f.key, f.value.Type())
		}
	}
	return nil
}

// foreign tells variables that share the prefix without being ours: Kubernetes
// sets COMMSD_PORT… and COMMSD_SERVICE_… for a service named commsd, and the
// test suite has its own.
func foreign(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return strings.HasPrefix(rest, "SERVICE_") || rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "TEST_")
}
