package app

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A node whose pages are for everybody and whose media is not says so at the
// start: the defaults of media are for one machine.
func TestMediaOnLoopbackIsToldOf(t *testing.T) {
	for _, c := range []struct {
		about  string
		change func(*Config)
		told   bool
	}{
		{"pages for this machine", func(*Config) {}, false},
		{"pages for all", func(c *Config) { c.HTTP.PublicURL = "https://comms.example" }, true},
		{"and another address told", func(c *Config) {
			c.HTTP.PublicURL, c.Media.Advertise = "https://comms.example", []string{"203.0.113.7"}
		}, true},
		{"media for all", func(c *Config) { c.HTTP.PublicURL, c.Media.UDPListen = "https://comms.example", "0.0.0.0:0" }, false},
		{"by the relay", func(c *Config) { c.HTTP.PublicURL, c.TURN.UDPListen = "https://comms.example", "0.0.0.0:3478" }, false},
	} {
		t.Run(c.about, func(t *testing.T) {
			cfg := Default()
			cfg.Media.UDPListen, cfg.Media.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
			c.change(&cfg)
			var log bytes.Buffer
			a, n := &App{cfg: cfg, log: slog.New(slog.NewTextHandler(&log, nil)), reg: prometheus.NewRegistry()}, &node{addrs: map[string]net.Addr{}}
			if err := a.openMedia(n); err != nil {
				t.Fatal(err)
			}
			n.releaseMedia()
			if got := strings.Contains(log.String(), "loopback alone"); got != c.told {
				t.Errorf("told: %v, want %v\n%s", got, c.told, log.String())
			}
		})
	}
}

// A media port that cannot be had is told of as every other is: by its key, in
// one line, with the cure.
func TestMediaPortsNameKeyAndCure(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for cure, change := range map[string]func(*MediaConfig){
		"media.udp_listen: " + taken.LocalAddr().String() + " is in use by another program": func(c *MediaConfig) { c.UDPListen = taken.LocalAddr().String() },
		"media.tcp_listen: 203.0.113.7:0 is no address of this machine":                     func(c *MediaConfig) { c.TCPListen = "203.0.113.7:0" },
	} {
		cfg := Default()
		cfg.Media.UDPListen, cfg.Media.TCPListen = "127.0.0.1:0", ""
		change(&cfg.Media)
		a := &App{cfg: cfg, log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
		if err := a.openMedia(&node{}); err == nil || !strings.HasPrefix(err.Error(), cure) {
			t.Errorf("%v, want %q", err, cure)
		}
	}
}
