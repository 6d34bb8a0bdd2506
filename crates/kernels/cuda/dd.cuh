//! Double-double numbers, operation by operation as in src/dd.rs, so that the bits are the same.
#pragma once
#include "words.cuh"

struct Dd {
    double hi, lo;
};

__device__ inline Dd dd(double x) { return Dd{x, 0.0}; }

__device__ inline Dd two_sum(double a, double b) {
    double sum = a + b;
    double part = sum - a;
    return Dd{sum, (a - (sum - part)) + (b - part)};
}

__device__ inline Dd quick_two_sum(double a, double b) {
    double hi = a + b;
    return Dd{hi, b - (hi - a)};
}

__device__ inline Dd two_prod(double a, double b) {
    double product = a * b;
    return Dd{product, fma(a, b, -product)};
}

__device__ inline Dd dd_count(u64 n) {
    u64 low = n & 0xffffffffull;
    return two_sum((double)(n - low), (double)low);
}

__device__ inline Dd operator-(Dd a) { return Dd{-a.hi, -a.lo}; }

ONCE Dd operator+(Dd a, Dd b) {
    Dd high = two_sum(a.hi, b.hi);
    Dd low = two_sum(a.lo, b.lo);
    Dd first = quick_two_sum(high.hi, high.lo + low.hi);
    return quick_two_sum(first.hi, first.lo + low.lo);
}

__device__ inline Dd operator-(Dd a, Dd b) { return a + -b; }

ONCE Dd operator*(Dd a, Dd b) {
    Dd product = two_prod(a.hi, b.hi);
    return quick_two_sum(product.hi, product.lo + (a.hi * b.lo + a.lo * b.hi));
}

ONCE Dd operator*(Dd a, double factor) {
    Dd product = two_prod(a.hi, factor);
    return quick_two_sum(product.hi, product.lo + a.lo * factor);
}

ONCE Dd operator/(Dd a, Dd divisor) {
    double first = a.hi / divisor.hi;
    Dd rest = a - divisor * first;
    double second = rest.hi / divisor.hi;
    double third = (rest - divisor * second).hi / divisor.hi;
    return quick_two_sum(first, second) + dd(third);
}

__device__ inline Dd not_negative(Dd a) { return a.hi < 0.0 ? Dd{0.0, 0.0} : a; }
