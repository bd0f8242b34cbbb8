/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "budget.h"

static uint64_t bucket_bytes(const struct budget *budget)
{
    return budget->bytes_per_day / 8;
}

void budget_init(struct budget *budget, uint64_t bytes_per_day, uint64_t now_ms)
{
    *budget = (struct budget){.bytes_per_day = bytes_per_day, .refilled_ms = now_ms};
    budget->left_bytes = bucket_bytes(budget);
}

static void refill(struct budget *budget, uint64_t now_ms)
{
    uint64_t per_day = budget->bytes_per_day - bucket_bytes(budget);
    uint64_t passed = now_ms > budget->refilled_ms ? now_ms - budget->refilled_ms : 0;

    if (passed >= BUDGET_DAY_MS) {
        budget->left_bytes = bucket_bytes(budget);
        budget->refilled_ms = now_ms;
        return;
    }
    /* Whole bytes only; the time that does not make one counts the next time. */
    uint64_t bytes = (uint64_t)((unsigned __int128)per_day * passed / BUDGET_DAY_MS);
    if (bytes == 0)
        return;
    /* Rounded up: what was refilled is never more than the time is worth. */
    budget->refilled_ms +=
        (uint64_t)(((unsigned __int128)bytes * BUDGET_DAY_MS + per_day - 1) / per_day);
    budget->left_bytes += bytes;
    if (budget->left_bytes > bucket_bytes(budget))
        budget->left_bytes = bucket_bytes(budget);
}

void budget_change(struct budget *budget, uint64_t bytes_per_day, uint64_t now_ms)
{
    uint64_t left = UINT64_MAX;

    if (budget->bytes_per_day != UINT64_MAX) {
        refill(budget, now_ms);
        left = budget->left_bytes;
    }
    budget_init(budget, bytes_per_day, now_ms);
    if (budget->left_bytes > left)
        budget->left_bytes = left;
}

uint64_t budget_left_bytes(struct budget *budget, uint64_t now_ms)
{
    if (budget->bytes_per_day == UINT64_MAX)
        return UINT64_MAX;
    refill(budget, now_ms);
    return budget->left_bytes;
}

bool budget_charge(struct budget *budget, uint64_t bytes, uint64_t now_ms)
{
    if (budget->bytes_per_day == UINT64_MAX)
        return true;
    if (budget_left_bytes(budget, now_ms) < bytes)
        return false;
    budget->left_bytes -= bytes;
    return true;
}

void budget_refund(struct budget *budget, uint64_t bytes)
{
    if (budget->bytes_per_day == UINT64_MAX)
        return;
    budget->left_bytes += bytes;
    if (budget->left_bytes > bucket_bytes(budget))
        budget->left_bytes = bucket_bytes(budget);
}
