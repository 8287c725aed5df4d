package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
)

// signingRounds makes a guessed signing key expensive to try.
const signingRounds = 2000

type line struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
}

type cart struct {
	Customer string
	Lines    []line
	Coupons  []string
}

type order struct {
	Number    int    `json:"number"`
	Lines     []line `json:"lines"`
	Discount  int    `json:"discountCents"`
	Tax       int    `json:"taxCents"`
	Total     int    `json:"totalCents"`
	Signature string `json:"signature"`
}

type promotion struct {
	coupon  string
	prefix  string // of the SKUs it is for
	percent int
	minimum int // quantity
}

// till turns carts into orders.
type till struct {
	promotions []promotion
	key        []byte

	mu      sync.Mutex
	orders  int
	revenue map[string]int // cents by SKU
}

func newTill() *till {
	t := &till{key: []byte("demo"), revenue: map[string]int{}}
	for i := range 60 {
		t.promotions = append(t.promotions, promotion{
			coupon:  fmt.Sprintf("SAVE%02d", i),
			prefix:  fmt.Sprintf("sku-%d", i%10),
			percent: 5 + i%20,
			minimum: 1 + i%4,
		})
	}
	return t
}

func (t *till) checkout(c cart) order {
	o := order{Lines: c.Lines}
	subtotal := priceCart(c.Lines)
	o.Discount = t.applyPromotions(c)
	o.Tax = computeTax(subtotal - o.Discount)
	o.Total = subtotal - o.Discount + o.Tax
	o.Number = t.record(o)
	o.Signature = t.signOrder(o)
	return o
}

func priceCart(lines []line) int {
	total := 0
	for _, l := range lines {
		total += l.Quantity * l.Cents
	}
	return total
}

// applyPromotions finds the best allowed promotion of each line; coupons count once.
func (t *till) applyPromotions(c cart) int {
	discount := 0
	used := map[string]bool{}
	for _, l := range c.Lines {
		candidates := make([]promotion, 0, len(t.promotions))
		for _, p := range t.promotions {
			if strings.HasPrefix(l.SKU, p.prefix) && l.Quantity >= p.minimum && hasCoupon(c.Coupons, p.coupon) && !used[p.coupon] {
				candidates = append(candidates, p)
			}
		}
		sort.Slice(candidates, func(i, j int) bool { return candidates[i].percent > candidates[j].percent })
		if len(candidates) > 0 {
			best := candidates[0]
			used[best.coupon] = true
			discount += l.Quantity * l.Cents * best.percent / 100
		}
	}
	return discount
}

func hasCoupon(coupons []string, wanted string) bool {
	for _, c := range coupons {
		if strings.EqualFold(c, wanted) {
			return true
		}
	}
	return false
}

func computeTax(cents int) int { return cents * 19 / 100 }

func (t *till) record(o order) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.orders++
	for _, l := range o.Lines {
		t.revenue[l.SKU] += l.Quantity * l.Cents
	}
	return t.orders
}

func (t *till) signOrder(o order) string {
	signature := fmt.Appendf(nil, "%d/%d", o.Number, o.Total)
	for range signingRounds {
		mac := hmac.New(sha256.New, t.key)
		mac.Write(signature)
		signature = mac.Sum(signature[:0])
	}
	return hex.EncodeToString(signature)
}

func randomCart() cart {
	c := cart{Customer: fmt.Sprintf("customer-%d", rand.IntN(1000))}
	for range 20 + rand.IntN(40) {
		c.Lines = append(c.Lines, line{
			SKU:      fmt.Sprintf("sku-%d-%03d", rand.IntN(10), rand.IntN(200)),
			Quantity: 1 + rand.IntN(5),
			Cents:    99 + rand.IntN(20_000),
		})
	}
	for range 30 {
		c.Coupons = append(c.Coupons, fmt.Sprintf("save%02d", rand.IntN(60)))
	}
	return c
}
