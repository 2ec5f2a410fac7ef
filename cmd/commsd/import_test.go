package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestImport compares and applies a staff list from the command line, on what
// a server has left.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	env := environment(dir)
	s := &server{t: t, env: env}
	s.start()
	list := filepath.Join(dir, "danh sách.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Mã nhân sự;Họ và tên;Email;Chức danh;Đơn vị\nHN1;Phạm Thị Hạnh;hanhpt@hanoi.g2g.example;Văn thư;Phòng Nội chính\n")
	if _, stderr, code := command(t, env, "import", "--agency", "H26", list); code != 2 || !strings.Contains(stderr, "in use by another commsd") {
		t.Errorf("beside a server on SQLite: %d %s", code, stderr)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--agency", "H26", list}, 0, "nothing has changed yet"},
		{[]string{"--agency", "H26", "--apply", list}, 0, "applied: 1 people changed, 0 left as they were"},
		{[]string{"--agency", "H26", list}, 0, "0 new, 0 changed, 0 moved, 0 leave, 1 as before"},
		{[]string{"--agency", "H99", list}, 1, "no agency has the identifier H99"},
		{[]string{"--agency", "H26", list + "x"}, 2, "cannot read the list"},
	} {
		stdout, stderr, code := command(t, env, append([]string{"import"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("import %q: %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
	write("Mã nhân sự;Họ và tên;Chức danh;Đơn vị\nHN1;Ph\xb9m An;Văn thư;Phòng Nội chính\n")
	if stdout, stderr, code := command(t, env, "import", "--agency", "H26", "--apply", list); code != 1 ||
		!strings.Contains(stdout, "line 2: the line is not UTF-8") || !strings.Contains(stderr, "nothing was imported") {
		t.Errorf("another encoding: %d\n%s%s", code, stdout, stderr)
	}
}
