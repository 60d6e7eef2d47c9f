using System.Net;
using System.Text;

namespace GemmaCore.Evaluation;

/// <summary>
/// A page that needs nothing but itself: no script, no font, no picture from elsewhere. Follows the reader's choice of dark or light and reads on a phone as
/// on a desk.
/// </summary>
/// <param name="title">Title and first heading.</param>
public sealed class HtmlPage(string title)
{
    private const string Style = """
        :root { color-scheme: light dark; --paper: #fbfbf9; --card: #ffffff; --ink: #1d2126; --soft: #5c6670; --line: #dfe3e6; --mark: #0b6e75; --mark-soft: #0b6e7533; --second: #b4531c; --warn: #fff3d6; }
        @media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2024; --ink: #e7eaec; --soft: #9aa5ae; --line: #31383e; --mark: #56c3c9; --mark-soft: #56c3c940; --second: #f0a06c; --warn: #3a3016; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2.5rem) 4rem; max-width: 78rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 0.7rem; } h3 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
        p { margin: 0.4rem 0; max-width: 46rem; } .soft { color: var(--soft); } code, .mono { font-family: ui-monospace, monospace; font-size: 0.88em; overflow-wrap: anywhere; }
        .wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.3rem 0.8rem; }
        table { border-collapse: collapse; width: 100%; font-size: 0.92rem; } th { text-align: left; color: var(--soft); font-weight: 600; } caption { text-align: left; color: var(--soft); }
        th, td { padding: 0.35rem 0.9rem 0.35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; } tr:last-child td { border-bottom: 0; }
        td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td.text { overflow-wrap: anywhere; min-width: 8.2rem; }
        .facts { display: flex; flex-wrap: wrap; gap: 0.6rem; margin: 1rem 0; } .facts div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 0.9rem; }
        .facts b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; } .facts span { color: var(--soft); font-size: 0.85rem; }
        .note { background: var(--warn); border-radius: 8px; padding: 0.5rem 0.9rem; margin: 0.5rem 0; max-width: none; overflow-wrap: anywhere; }
        .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 0.8rem; } .plots > figure, .plots > div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.7rem 0.9rem; margin: 0; overflow-x: auto; }
        figcaption { font-weight: 600; margin-bottom: 0.4rem; } .bar { display: grid; grid-template-columns: minmax(6rem, 11rem) 1fr 12.5rem; gap: 0.2rem 0.8rem; align-items: center; padding: 0.15rem 0; font-size: 0.92rem; }
        .bar svg { width: 100%; height: 18px; display: block; } .bar .name { overflow-wrap: anywhere; } .bar .value { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .narrow .bar { grid-template-columns: minmax(4rem, 7rem) 1fr 3rem; } .narrow .bar svg { grid-column: auto; grid-row: auto; }
        .bar small { color: var(--soft); } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
        .thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.7rem; } .thumbs figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem; font-size: 0.8rem; overflow-wrap: anywhere; }
        .thumbs img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: 4px; display: block; margin-bottom: 0.4rem; }
        @media (max-width: 40rem) { .bar { grid-template-columns: 1fr auto; } .bar svg { grid-column: 1 / -1; grid-row: 2; } h1 { font-size: 1.4rem; } }
        """;

    private readonly StringBuilder _body = new();

    /// <summary>Text as it may stand in a page.</summary>
    public static string Escape(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Adds a heading of a section.</summary>
    public HtmlPage Section(string heading) => Raw($"<h2>{Escape(heading)}</h2>");

    /// <summary>Adds a paragraph.</summary>
    public HtmlPage Paragraph(string text, string? look = null) => Raw(look is null ? $"<p>{Escape(text)}</p>" : $"<p class=\"{look}\">{Escape(text)}</p>");

    /// <summary>Adds a line of figures.</summary>
    public HtmlPage Facts(params IEnumerable<(string Value, string Name)> facts) =>
        Raw("<div class=\"facts\">" + string.Concat(facts.Select(fact => $"<div><b>{Escape(fact.Value)}</b><span>{Escape(fact.Name)}</span></div>")) + "</div>");

    /// <summary>Adds a table.</summary>
    /// <param name="columns">Headings; one that begins with <c>#</c> is a column of numbers.</param>
    /// <param name="rows">Cells.</param>
    public HtmlPage Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        ArgumentNullException.ThrowIfNull(columns);
        ArgumentNullException.ThrowIfNull(rows);
        string Look(int column) => columns[column].StartsWith('#') ? "number" : "text";
        _body.Append("<div class=\"wide\"><table><thead><tr>");
        for (int i = 0; i < columns.Count; i++) _body.Append($"<th class=\"{Look(i)}\">{Escape(columns[i].TrimStart('#'))}</th>");
        _body.Append("</tr></thead><tbody>\n");
        foreach (IReadOnlyList<string> row in rows)
        {
            _body.Append("<tr>");
            for (int i = 0; i < row.Count; i++) _body.Append($"<td class=\"{Look(i)}\">{Breakable(Escape(row[i]))}</td>");
            _body.Append("</tr>\n");
        }

        _body.Append("</tbody></table></div>\n");
        return this;
    }

    // Names such as uids may break after their separators, on a phone they have to.
    private static string Breakable(string text) => text.Replace("_", "_<wbr>", StringComparison.Ordinal).Replace(":", ":<wbr>", StringComparison.Ordinal);

    /// <summary>Adds markup made elsewhere; whoever makes it escapes what it takes from data.</summary>
    public HtmlPage Raw(string markup)
    {
        _body.Append(markup).Append('\n');
        return this;
    }

    /// <summary>The whole page.</summary>
    public override string ToString() =>
        $"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        + $"<title>{Escape(title)}</title>\n<style>\n{Style}\n</style></head>\n<body>\n<h1>{Escape(title)}</h1>\n{_body}</body></html>\n";
}
