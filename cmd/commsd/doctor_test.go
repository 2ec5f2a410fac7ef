package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// doctor's exit code is what a script asks: 0 sound, 1 something fails, 2 it
// could not begin.
func TestDoctor(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		over []string
		code int
		says string
	}{
		"sound":             {[]string{"--demo"}, nil, 0, "failures: 0"},
		"plain http":        {nil, []string{"http.public_url", "http://192.0.2.1"}, 1, "→ set http.tls.cert"},
		"wrong key":         {nil, []string{"http.public_url", "nonsense"}, 2, "http.public_url"},
		"wrong name server": {[]string{"--dns", "nowhere"}, nil, 2, "host:port"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"doctor"}, c.args...)...)
		cmd.Env = environment(t.TempDir(), c.over...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s", name, code, c.code, c.says, out)
		}
	}
}
