package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"commsd/internal/sqldb"
)

const strong = "bảy con chim sẻ đậu nóc nhà 42"

// operator runs commands on one installation.
type operator struct {
	t   *testing.T
	dir string
	env []string
}

func newOperator(t *testing.T) *operator {
	dir := t.TempDir()
	return &operator{t: t, dir: dir, env: environment(dir)}
}

// run runs a command with input and returns what it printed and said.
func (o *operator) run(input string, code int, args ...string) (stdout, stderr string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.dir, o.env, strings.NewReader(input), &out, &errs
	_ = cmd.Run() // the code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		o.t.Fatalf("commsd %q ends with %d, want %d:\n%s%s", args, got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// ok is run for a command that works, in one line unless it lists.
func (o *operator) ok(input string, args ...string) string {
	o.t.Helper()
	out, said := o.run(input, 0, args...)
	if said != "" {
		o.t.Errorf("commsd %q says %q", args, said)
	}
	return out
}

// refused is run for a command that does not; it says why in one line.
func (o *operator) refused(input string, code int, words []string, args ...string) {
	o.t.Helper()
	out, said := o.run(input, code, args...)
	if out != "" || strings.Count(strings.TrimSpace(said), "\n") != 0 {
		o.t.Errorf("commsd %q says more than one line:\n%s%s", args, out, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			o.t.Errorf("commsd %q says %q, and not %q", args, said, w)
		}
	}
}

// audited lists the actions of the command line in the audit log.
func (o *operator) audited() (actions []string) {
	o.t.Helper()
	db, err := sqldb.Open(o.t.Context(), sqldb.Config{DataDir: filepath.Join(o.dir, "data")})
	if err != nil {
		o.t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(o.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT e.action FROM audit_events e JOIN audit_payloads p ON p.event_id = e.id
			WHERE e.account_id = '' AND p.detail LIKE '%"scope":"command"%' ORDER BY e.id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var action string
			if err := rows.Scan(&action); err != nil {
				return err
			}
			actions = append(actions, action)
		}
		return rows.Err()
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return actions
}

// TestFirstAdministratorAgencyAndPerson: from nothing to people who sign in, and
// each step in the audit log.
func TestFirstAdministratorAgencyAndPerson(t *testing.T) {
	o := newOperator(t)
	if out := o.ok(strong+"\n", "admin", "create", "--login", "Admin@g2g.example", "--name", "Nguyễn Văn Quản", "--password-stdin"); !strings.Contains(out, "admin@g2g.example (Nguyễn Văn Quản)") || strings.Count(out, "\n") != 1 {
		t.Errorf("said %q", out)
	}
	o.refused(strong, 1, []string{"has an account already", "admin@g2g.example"}, "admin", "create", "--login", "admin@g2g.example", "--password-stdin")

	if out := o.ok("", "agency", "add", "--identifier", "g09", "--alias", "000.00.00.G09", "--name", "Bộ Nội vụ", "--short-name", "BNV", "--domain", "noivu.g2g.example", "--domain", "bnv.example"); !strings.HasPrefix(out, "added agency G09, Bộ Nội vụ") {
		t.Errorf("said %q", out)
	}
	o.ok("", "agency", "add", "--identifier", "G09.01", "--name", "Cục Văn thư", "--parent", "000.00.00.G09")
	o.refused("", 1, []string{"another agency", "G09"}, "agency", "add", "--identifier", "G09", "--name", "Bộ khác")
	o.refused("", 1, []string{"identifier", "root first"}, "agency", "add", "--identifier", "bộ", "--name", "Bộ khác")
	if list := o.ok("", "agency", "list"); !regexp.MustCompile(`(?m)^G09 +Bộ Nội vụ +0 `).MatchString(list) || !strings.Contains(list, "G09.01") {
		t.Errorf("listed\n%s", list)
	}

	add := []string{"person", "add", "--name", "Lê Thị Hoà", "--address", "hoa@noivu.g2g.example", "--agency", "G09", "--unit", "Văn phòng Bộ", "--title", "Văn thư"}
	o.refused("", 1, []string{"no unit called Văn phòng Bộ", "--new-unit"}, add...)
	out := o.ok("", append(add, "--new-unit", "--account")...)
	if !regexp.MustCompile(`added Lê Thị Hoà \([0-9a-f-]{36}\)\nlogin hoa@noivu.g2g.example, one-time code ([0-9A-Z]{4}-){3}[0-9A-Z]{4} until `).MatchString(out) {
		t.Errorf("said %q", out)
	}
	o.refused("", 1, []string{"hoa@noivu.g2g.example", "taken"}, add...)
	o.refused("", 1, []string{"elsewhere.example"}, "person", "add", "--name", "An", "--address", "an@elsewhere.example", "--agency", "G09", "--unit", "Văn phòng Bộ", "--title", "Văn thư")
	if list := o.ok("", "person", "list"); !regexp.MustCompile(`(?m)^Lê Thị Hoà +hoa@noivu.g2g.example +active +Văn thư +Văn phòng Bộ +G09$`).MatchString(list) || !strings.Contains(list, "Nguyễn Văn Quản") {
		t.Errorf("listed\n%s", list)
	}
	if list := o.ok("", "person", "list", "--agency", "000.00.00.G09", "hoa"); strings.Contains(list, "Quản") || !strings.Contains(list, "Hoà") {
		t.Errorf("listed of the agency\n%s", list)
	}

	if out := o.ok("", "person", "disable", "hoa@noivu.g2g.example", "--reason", "nghỉ việc"); out != "disabled the account of hoa@noivu.g2g.example\n" {
		t.Errorf("said %q", out)
	}
	if list := o.ok("", "person", "list", "hoa"); !strings.Contains(list, "disabled") {
		t.Errorf("listed\n%s", list)
	}
	o.ok("", "person", "enable", "hoa@noivu.g2g.example", "--reason", "trở lại")
	o.refused("", 1, []string{"nobody@noivu.g2g.example"}, "person", "disable", "nobody@noivu.g2g.example", "--reason", "x")
	o.refused("", 1, []string{"last system administrator"}, "person", "disable", "admin@g2g.example", "--reason", "x")

	got := strings.Join(o.audited(), " ")
	for _, want := range []string{"account.create", "admin_grant.write", "agency.create agency.create", "unit.write person.write account.create account.reset", "account.disable account.enable"} {
		if !strings.Contains(got, want) {
			t.Errorf("audited %q, and not %q", got, want)
		}
	}
}

// TestAdministratorsPassword: it comes by standard input or the terminal, never
// by the command line, and obeys the rules.
func TestAdministratorsPassword(t *testing.T) {
	o := newOperator(t)
	create := []string{"admin", "create", "--login", "admin@g2g.example"}
	_, said := o.run("", 2, append(create, "--password", strong)...)
	if !strings.Contains(said, "--password") {
		t.Errorf("a password on the command line: %q", said)
	}
	o.refused(strong, 2, []string{"no terminal", "--password-stdin"}, create...)
	create = append(create, "--password-stdin")
	o.refused("", 2, []string{"no password"}, create...)
	if left, err := filepath.Glob(filepath.Join(o.dir, "data*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	o.refused("short\n", 1, []string{"15 characters"}, create...)
	o.refused("passwordpassword\n", 1, []string{"password"}, create...)
	o.refused(strong+"\n", 1, []string{"mail for elsewhere.example is not received here"}, "admin", "create", "--login", "a@elsewhere.example", "--password-stdin")
	if list := o.ok("", "person", "list"); strings.Count(list, "\n") != 1 {
		t.Errorf("a refused administrator stands:\n%s", list)
	}
	o.ok(strong+"\r\n", create...)

	// It is the password that signs in.
	s := &server{t: t, env: o.env}
	s.start()
	t.Cleanup(func() { s.kill() })
	s.call("POST", "/api/v1/sessions", "", map[string]string{"login": "admin@g2g.example", "password": strong}, &struct{}{})
	http.DefaultClient.CloseIdleConnections()
	// Beside a server on SQLite a command says why it cannot.
	o.refused("", 2, []string{"data_dir"}, "agency", "list")
}

// TestPasswordAtTheTerminal types it at a pseudo terminal, which shows nothing.
func TestPasswordAtTheTerminal(t *testing.T) {
	o := newOperator(t)
	for _, c := range []struct {
		again string
		code  int
		says  string
	}{{"other", 2, "differ"}, {strong, 0, "administers the installation"}} {
		shown, code := atTerminal(t, o, []string{strong, c.again}, "admin", "create", "--login", "admin@g2g.example")
		if code != c.code || !strings.Contains(shown, c.says) {
			t.Errorf("typing %q again ends with %d: %s", c.again, code, shown)
		}
		if strings.Contains(shown, strong) {
			t.Errorf("the password is shown: %s", shown)
		}
	}
}

// atTerminal runs a command at a pseudo terminal, types each line when the
// command asks, and returns all that the terminal showed.
func atTerminal(t *testing.T, o *operator, lines []string, args ...string) (shown string, code int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.dir, o.env, slave, slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close() // the command has its own; the last end of it ends reading
	var all bytes.Buffer
	buffer := make([]byte, 4096)
	asked := 0
	for {
		n, err := master.Read(buffer)
		all.Write(buffer[:n])
		for asked < len(lines) && strings.Count(all.String(), ": ") > asked {
			// What is typed before the terminal was told to be silent is shown, as
			// at every such prompt; a person is slower.
			for silent := false; !silent && ctx.Err() == nil; runtime.Gosched() {
				state, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
				silent = err != nil || state.Lflag&unix.ECHO == 0
			}
			fmt.Fprintln(master, lines[asked])
			asked++
		}
		if err != nil {
			break // EIO: the other end is closed
		}
	}
	_ = cmd.Wait() // the code tells
	return all.String(), cmd.ProcessState.ExitCode()
}
