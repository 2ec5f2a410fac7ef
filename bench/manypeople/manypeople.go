// Package manypeople invents a directory of any size: agencies with trees of
// units and officials with names as they are in Viet Nam, Nguyễn for about a
// third. The same seed invents the same people.
//
// It must not know where they are written to.
package manypeople

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"commsd/directory"
	"commsd/internal/fold"
)

// weighted is a choice of words, each by its weight.
type weighted struct {
	words []string
	sums  []int
}

func choice(text string) weighted {
	var w weighted
	sum := 0
	for _, field := range strings.Split(text, ",") {
		word, weight := strings.TrimSpace(field), 1
		if i := strings.LastIndexByte(word, ' '); i > 0 {
			if _, err := fmt.Sscan(word[i+1:], &weight); err == nil {
				word = word[:i]
			}
		}
		sum += weight
		w.words, w.sums = append(w.words, word), append(w.sums, sum)
	}
	return w
}

func (w weighted) pick(r *rand.Rand) string {
	n := r.IntN(w.sums[len(w.sums)-1])
	for i, sum := range w.sums {
		if n < sum {
			return w.words[i]
		}
	}
	return w.words[0] // n is below the last sum
}

// The shares are about those of the country; the order of magnitude counts.
var (
	families = choice("Nguyễn 330, Trần 110, Lê 95, Phạm 70, Hoàng 35, Huỳnh 30, Phan 42, Vũ 25, Võ 25, Đặng 21, Bùi 20, Đỗ 14, Hồ 13, Ngô 13, Dương 10, Lý 5, Đào 8, Đinh 9, Đoàn 8, Lương 7, Trịnh 8, Mai 6, Trương 12, Cao 7, Hà 7, Tô 4, Tạ 4, Châu 3, Quách 2, La 2, Nông 3, Lò 3, Giàng 2, Ksor 1, Rơ Châm 1, H'Hen 1, Y 1, Thạch 2, Kim 2, Phùng 5, Vương 4, Lâm 5, Tống 3, Thái 4, Chu 4, Nghiêm 1, Kiều 2, Doãn 1, Ông 1, Tôn Nữ 1")
	women    = choice("Thị 520, Thị Thanh 40, Thị Thu 40, Thị Minh 25, Thị Ngọc 35, Thị Hồng 35, Thị Kim 25, Thị Phương 25, Thị Bích 18, Thị Mỹ 14, Ngọc 25, Thanh 20, Thu 15, Phương 15, Hồng 10, Kim 8, Bảo 8, Quỳnh 6, Khánh 6, Diệu 3, Thị Hoài 6, Thị Thuý 8, Thị Lan 6, Thuỳ 6")
	men      = choice("Văn 330, Đức 55, Hữu 50, Minh 50, Quang 40, Xuân 25, Thanh 30, Công 25, Đình 35, Ngọc 30, Quốc 30, Anh 25, Hoàng 25, Thế 18, Trọng 15, Duy 18, Tuấn 12, Mạnh 15, Hồng 8, Bá 10, Viết 8, Tiến 12, Huy 6, Gia 6, Nhật 4, Văn Minh 2, Thành 15, Trung 12, Khắc 5, Sỹ 4")
	herNames = choice("Hương 40, Lan 38, Hà 36, Hoa 34, Hằng 30, Hạnh 26, Thuỷ 28, Thảo 28, Trang 30, Linh 32, Mai 26, Nga 24, Ngọc 24, Nhung 20, Oanh 14, Phương 28, Quyên 8, Thanh 18, Thu 20, Tuyết 14, Vân 24, Yến 22, Anh 30, Bình 8, Chi 10, Dung 18, Duyên 10, Giang 12, Hiền 24, Hoà 10, Huệ 14, Huyền 20, Khánh 6, Liên 14, Loan 16, Ly 6, My 8, Ngân 14, Như 8, Quỳnh 10, Tâm 12, Thơm 8, Thương 10, Trâm 8, Trinh 8, Tú 6, Uyên 8, Vy 10, Xuân 8, Ánh 8, Ân 2, Niê 1")
	hisNames = choice("Anh 26, Hùng 40, Dũng 36, Tuấn 38, Minh 34, Long 24, Hải 28, Nam 26, Sơn 28, Thắng 24, Tùng 18, Cường 24, Đức 24, Hiếu 18, Hoà 10, Huy 18, Khánh 10, Kiên 14, Lâm 12, Mạnh 14, Nghĩa 10, Phong 14, Phúc 14, Quân 14, Quang 16, Quyết 6, Tâm 10, Tân 12, Thành 22, Thịnh 10, Tiến 14, Toàn 12, Trung 22, Trường 10, Tú 12, Việt 14, Vinh 16, Vũ 8, An 14, Bình 18, Chiến 10, Công 6, Cảnh 4, Dục 1, Giang 8, Hạ 1, Hưng 16, Khoa 8, Lộc 8, Luân 4, Nguyên 6, Nhân 6, Phát 6, Thái 10, Thuận 8, Tuyên 5, Vương 3, Y 1, Ân 3")
	titles   = choice("Chuyên viên 60, Chuyên viên chính 20, Văn thư 5, Kế toán 5, Cán sự 6, Thanh tra viên 2, Nhân viên 2")
	leaders  = choice("Trưởng phòng 1, Chánh Văn phòng 1, Vụ trưởng 1, Giám đốc 1")
	deputies = choice("Phó Trưởng phòng 1, Phó Giám đốc 1, Phó Vụ trưởng 1")
	fields   = choice("Hành chính, Tổ chức cán bộ, Kế hoạch - Tài chính, Tổng hợp, Thanh tra, Pháp chế, Công nghệ thông tin, Hợp tác quốc tế, Đào tạo, Quản lý đô thị, Tài nguyên và Môi trường, Giáo dục, Y tế, Văn hoá, Nội chính, Kinh tế, Khoa học và Công nghệ, Lao động, Tư pháp, Dân tộc")
)

// Directory is a directory that is invented agency by agency.
type Directory struct {
	rnd     *rand.Rand
	sizes   []int
	written int
}

// New begins a directory of so many people in so many agencies. A few agencies
// are large, most are small: the largest has a thirtieth of all people.
func New(seed uint64, people, agencies int) *Directory {
	d := &Directory{rnd: rand.New(rand.NewPCG(seed, 1)), sizes: make([]int, agencies)}
	left := people
	for i := range d.sizes {
		size := left / (agencies - i) // what an even share would be
		switch {
		case i == 0:
			size = people / 30
		case i < 20 && i < agencies/4:
			size = people / 150
		}
		d.sizes[i] = min(size, left)
		left -= d.sizes[i]
	}
	return d
}

// Next invents the following agency; ok is false when all are there.
func (d *Directory) Next() (a directory.FillAgency, ok bool) {
	if d.written == len(d.sizes) {
		return a, false
	}
	n, size := d.written, d.sizes[d.written]
	d.written++
	a = directory.FillAgency{
		Identifier: fmt.Sprintf("H%02d.%02d.%02d", n/900+1, n/30%30+1, n%30+1),
		Name:       fmt.Sprintf("Sở %s số %d", fields.pick(d.rnd), n), ShortName: fmt.Sprintf("Sở %d", n),
		Domain: fmt.Sprintf("so%d.g2g.example", n),
	}
	// A unit of about twelve; eight units, or thereabouts, under each.
	units := max(1, size/12)
	for i := range units {
		parent := -1
		if i > 0 {
			parent = (i - 1) / 8
		}
		kind := []string{"Văn phòng", "Phòng", "Trung tâm", "Tổ"}[min(3, depth(i))]
		a.Units = append(a.Units, directory.FillUnit{Name: fmt.Sprintf("%s %s %d", kind, fields.pick(d.rnd), i+1), Parent: parent})
	}
	for i := range size {
		u := &a.Units[i%units]
		u.People = append(u.People, d.person(i, len(u.People), a.Domain))
	}
	return a, true
}

func depth(i int) int {
	n := 0
	for ; i > 0; i = (i - 1) / 8 {
		n++
	}
	return n
}

func (d *Directory) person(i, place int, domain string) directory.FillPerson {
	p := directory.FillPerson{Family: families.pick(d.rnd), Title: titles.pick(d.rnd), Seniority: 5, Account: true}
	if d.rnd.IntN(2) == 0 {
		p.Middle, p.Given = women.pick(d.rnd), herNames.pick(d.rnd)
	} else {
		p.Middle, p.Given = men.pick(d.rnd), hisNames.pick(d.rnd)
	}
	switch place {
	case 0:
		p.Title, p.Seniority = leaders.pick(d.rnd), 0
	case 1:
		p.Title, p.Seniority = deputies.pick(d.rnd), 1
	}
	// As offices write addresses: tên, and the first letters of the rest.
	local := fold.String(strings.ReplaceAll(p.Given, " ", ""))
	for _, w := range fold.Words(p.Family + " " + p.Middle) {
		local += w.Folded[:1]
	}
	p.Address = fmt.Sprintf("%s%d@%s", local, i, domain)
	return p
}
