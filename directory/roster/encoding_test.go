package roster_test

import (
	"testing"

	"commsd/directory/roster"
)

func TestOldFontsAreToldFromVietnamese(t *testing.T) {
	const header = "Mã nhân sự;Họ và tên;Chức danh;Đơn vị\n"
	for _, c := range []struct {
		name, list string
		old        bool
	}{
		{"names with oà", header + "1;Lê Hoàng Nam;Chuyên viên;Phòng Tổng hợp\n2;Đoàn Thị Hoà;Văn thư;Toà soạn\n3;Trần Ngoãn;Chuyên viên;Đoàn xe\n", false},
		{"VNI", header + "1;Nguyeãn Vaên An;Chuyeân vieân;Phoøng Toång hôïp\n2;Leâ Hoaøng Nam;Chuyeân vieân;Phoøng Toång hôïp\n", true},
		{"TCVN3", header + "1;NguyÔn V¨n An;Chuyªn viªn;Phßng Tæng hîp\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			problems := roster.NewProblems(10)
			file := roster.Parse([]byte(c.list), roster.Limits{Rows: 100, Bytes: 1 << 20}, problems)
			if old := problems.Count > 0; old != c.old || !c.old && len(file.Rows) != 3 {
				t.Errorf("old font: %v, want %v; %d rows, problems %+v", old, c.old, len(file.Rows), problems.Shown)
			}
		})
	}
}
