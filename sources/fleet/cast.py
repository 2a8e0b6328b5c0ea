"""In: nothing. Out: the fourteen teams of the fleet in four departments, and the one sender that nobody knows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from sources.fleet.roles import Model, OutcomePlan, TeamRole, Workload

GPT_4O_MINI: Final = Model("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18")
GPT_41: Final = Model("openai", "gpt-4.1", "gpt-4.1-2025-04-14")
O3: Final = Model("openai", "o3", "o3-2025-04-16")
EMBEDDING: Final = Model("openai", "text-embedding-3-small")
SONNET: Final = Model("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
HAIKU: Final = Model("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001")
OPUS: Final = Model("anthropic", "claude-opus-4-1", "claude-opus-4-1-20250805")
FLASH: Final = Model("gcp.gemini", "gemini-2.5-flash")
PRO: Final = Model("gcp.gemini", "gemini-2.5-pro")
#: In no price list: its calls are unpriced, and visible as such.
PROTOTYPE: Final = Model("inhouse", "lab-prototype-2")

MERGED: Final = OutcomePlan(
    "change_merged", 0.34, 0.86, (0.82, 0.1), (0.0, 1.0), "review_score", 6.0, 45.0, Decimal(60), Decimal(110), 14.0
)
RESOLVED: Final = OutcomePlan(
    "ticket_resolved", 0.8, 0.78, (4.2, 0.5), (1.0, 5.0), "csat", 0.5, 9.0, Decimal(7), Decimal("8.5"), 5.0
)
PROCESSED: Final = OutcomePlan(
    "document_processed", 0.9, 0.94, (0.95, 0.03), (0.0, 1.0), "extraction_f1", 0.1, 6.0, Decimal(4), Decimal(5), 20.0
)
QUALIFIED: Final = OutcomePlan(
    "lead_qualified", 0.55, 0.62, (0.7, 0.12), (0.0, 1.0), "sales_acceptance", 2.0, 14.0, Decimal(35), Decimal(21), 30.0
)
TRIAGED: Final = OutcomePlan(
    "alert_triaged", 0.7, 0.9, (0.88, 0.07), (0.0, 1.0), "eval_pass_rate", 0.2, 12.0, Decimal(15), Decimal(18), 1.5
)

TEAMS: Final = (
    TeamRole(
        "platform-eng", "engineering", 13, "office", 24, 30, people=True, workloads=(
            Workload("code-assist", "coding-agent", "coding-agent", "terminal", "claude-code", "2.1.4",
                     SONNET, 24_000, 260,
                     share=0.94, sigma=0.4, cache_read=0.95, cache_write=0.02, stage="exploratory",
                     attributed_by="user", outcome=MERGED),
            Workload("code-review", "review-bot", "review-diff", "review-bot", "openai-python", "1.109.1",
                     GPT_41, 5_200, 420,
                     share=0.06),
        ),
    ),
    TeamRole(
        "checkout", "engineering", 8, "service", 5, 7, workloads=(
            Workload("incident-triage", "payment-triage", "triage-alert", "payment-triage", "langgraph", "0.6.7",
                     GPT_41, 3_800, 700, attributed_by="source", claims_team=True, outcome=TRIAGED),
        ),
    ),
    TeamRole(
        "mobile", "engineering", 5, "office", 9, 18, people=True, utc_offset=1, workloads=(
            Workload("code-assist", "pair-coding", "pair-coding", "editor", "copilot-proxy", "4.2.0",
                     GPT_41, 9_000, 340,
                     cache_read=0.35, stage="exploratory", attributed_by="user", outcome=MERGED),
        ),
    ),
    TeamRole(
        "search-relevance", "engineering", 4, "service", 4, 30, workloads=(
            Workload("search-index", "embed-catalogue", "none", "embedder", "openai-python", "1.109.1",
                     EMBEDDING, 6_000, 0,
                     operation="embeddings", data_class="public"),
        ),
    ),
    TeamRole(
        "support", "customer", 15, "service", 12, 6, utc_offset=1, workloads=(
            Workload("ticket-triage", "classify-ticket", "classify", "support-desk", "litellm", "1.81.2",
                     GPT_4O_MINI, 900, 60,
                     share=0.6, claims_team=True, outcome=replace(RESOLVED, per_session=0.4)),
            Workload("reply-drafting", "draft-reply", "draft-reply", "support-desk", "litellm", "1.81.2",
                     GPT_41, 3_000, 320,
                     share=0.4, claims_team=True, data_class="confidential", outcome=RESOLVED),
        ),
    ),
    TeamRole(
        "self-service", "customer", 11, "service", 10, 5, workloads=(
            Workload("help-bot", "answer-question", "help-answer", "help-bot", "portkey", "1.15.0",
                     GPT_4O_MINI, 2_400, 180,
                     cache_read=0.4, gateway_hits=0.06, attributed_by="source", data_class="public",
                     outcome=replace(RESOLVED, success=0.64, per_session=0.6)),
        ),
    ),
    TeamRole(
        "customer-success", "customer", 4, "office", 8, 6, people=True, workloads=(
            Workload("account-briefs", "summarise-account", "account-brief", "crm", "crm-plugin", "3.0.1",
                     SONNET, 7_000, 500,
                     attributed_by="user", data_class="confidential"),
        ),
    ),
    TeamRole(
        "sales-outreach", "commercial", 8, "office", 10, 6, people=True, utc_offset=1, workloads=(
            Workload("lead-qualification", "qualify-lead", "qualify-lead", "outreach", "pydantic-ai", "1.3.0",
                     HAIKU, 2_600, 240,
                     claims_team=True, data_class="confidential", outcome=QUALIFIED),
        ),
    ),
    TeamRole(
        "marketing-content", "commercial", 4, "office", 9, 8, people=True, workloads=(
            Workload("content-drafts", "write-draft", "brand-voice", "content-studio", "openai-js", "5.20.0",
                     GPT_41, 1_800, 900,
                     attributed_by="user", data_class="public"),
        ),
    ),
    TeamRole(
        "pricing-insights", "commercial", 3, "office", 6, 9, people=True, workloads=(
            Workload("market-analysis", "ask-analyst", "analyst", "notebook", "openai-python", "1.109.1",
                     O3, 4_500, 1_400,
                     reasoning=0.7, stage="exploratory", attributed_by="user"),
        ),
    ),
    TeamRole(
        "claims-docs", "operations", 9, "office", 7, 5, workloads=(
            Workload("claims-extraction", "extract-claim", "extract-claim", "claims-reader", "openai-python", "1.109.1",
                     GPT_41, 3_600, 110, sigma=0.4, attributed_by="source", claims_team=True, data_class="restricted",
                     outcome=PROCESSED),
        ),
    ),
    TeamRole(
        "finance-recon", "operations", 11, "service", 9, 8, growth=1.0, workloads=(
            Workload("invoice-matching", "match-invoice", "match-invoice", "recon", "google-genai", "1.40.0",
                     FLASH, 2_900, 260,
                     sigma=0.35, claims_team=True, data_class="confidential", outcome=PROCESSED),
        ),
    ),
    TeamRole(
        "legal-review", "operations", 2.5, "office", 5, 7, people=True, workloads=(
            Workload("contract-review", "review-contract", "contract-risk", "contracts", "google-genai", "1.40.0",
                     PRO, 18_000,
                     900, reasoning=0.3, attributed_by="user", data_class="restricted",
                     outcome=replace(PROCESSED, kind="contract_reviewed", success=0.88, hours=3.0,
                                     value_usd=Decimal(80))),
        ),
    ),
    TeamRole(
        "people-ops", "operations", 2, "office", 5, 6, people=True, workloads=(
            Workload("policy-questions", "ask-policy", "policy-answer", "intranet", "openai-js", "5.20.0",
                     GPT_4O_MINI, 2_000, 150,
                     attributed_by="user"),
        ),
    ),
)  # fmt: skip

#: A script that nobody registered: no team, no known user, credential or source.
NOBODY: Final = TeamRole(
    "unattributed", "none", 0.5, "office", 2, 12, workloads=(
        Workload("scratch", "scratch", "none", "notebook", "python-requests", "2.32.5", PROTOTYPE, 1_500, 300,
                 share=0.5, stage="exploratory", attributed_by=None),
        Workload("scratch", "scratch", "none", "notebook", "python-requests", "2.32.5", GPT_4O_MINI, 1_500, 300,
                 share=0.5, stage="exploratory", attributed_by=None),
    ),
)  # fmt: skip

ROLES: Final = (*TEAMS, NOBODY)
