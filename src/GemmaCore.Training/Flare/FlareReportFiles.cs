using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using GemmaCore.Evaluation;

namespace GemmaCore.Training.Flare;

/// <summary>A data report as text, as JSON, and as one page with thumbnails.</summary>
public static class FlareReportFiles
{
    private const int ShownFaults = 200, ShownClasses = 12, LongestText = 200;

    /// <summary>The report for a terminal: a table, then the faults by kind with the first ten of each.</summary>
    public static string Text(FlareReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        const int firstTen = 10;
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{"split",-18} {"data set",-18} {"rows",6} {"answers",8} {"pictures",8}  tasks");
        foreach (DatasetSummary set in report.Datasets)
        {
            text.Append(CultureInfo.InvariantCulture, $"{set.Split,-18} {set.Dataset,-18} {set.Rows,6} {set.Answered,8} {set.Pictures,8}  {Tasks(set)}");
            if (set.PromptTokens is { } tokens) text.Append(CultureInfo.InvariantCulture, $"; tokens {tokens.Least} to {tokens.Most}, median {tokens.Median}");
            text.AppendLine();
        }

        foreach (IGrouping<string, DataFault> kind in report.Faults.GroupBy(fault => fault.Kind))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{kind.Key}: {kind.Count()}");
            foreach (DataFault fault in kind.Take(firstTen)) text.AppendLine(CultureInfo.InvariantCulture, $"  {fault.Where}: {fault.Detail}");
            if (kind.Count() > firstTen) text.AppendLine(CultureInfo.InvariantCulture, $"  and {kind.Count() - firstTen} more");
        }

        if (report.Shared.Count > 0) text.AppendLine(CultureInfo.InvariantCulture, $"pictures in more than one split: {report.Shared.Count}");
        foreach (SharedPicture shared in report.Shared.Take(firstTen)) text.AppendLine($"  {string.Join(" = ", shared.Places)}");
        if (report.Faults.Count == 0 && report.Shared.Count == 0) text.AppendLine("nothing is wrong");
        return text.ToString();
    }

    /// <summary>The whole report as JSON.</summary>
    public static JsonObject Json(FlareReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return new JsonObject
        {
            ["root"] = report.Root,
            ["datasets"] = new JsonArray([.. report.Datasets.Select(set => (JsonNode)new JsonObject
            {
                ["split"] = set.Split,
                ["dataset"] = set.Dataset,
                ["rows"] = set.Rows,
                ["answered"] = set.Answered,
                ["pictures"] = set.Pictures,
                ["tasks"] = new JsonObject(set.Tasks.Select(task => KeyValuePair.Create(task.Key, (JsonNode?)task.Value))),
                ["classes"] = new JsonObject(set.Classes.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))),
                ["tokens"] = set.PromptTokens is { } tokens ? new JsonObject { ["least"] = tokens.Least, ["median"] = tokens.Median, ["most"] = tokens.Most } : null,
            })]),
            ["faults"] = new JsonArray([.. report.Faults.Select(fault => (JsonNode)new JsonObject { ["kind"] = fault.Kind, ["where"] = fault.Where, ["detail"] = fault.Detail })]),
            ["shared_pictures"] = new JsonArray([.. report.Shared.Select(shared => (JsonNode)new JsonObject
            {
                ["sha256_begins"] = shared.Hash,
                ["places"] = new JsonArray([.. shared.Places.Select(place => (JsonNode)place)]),
            })]),
        };
    }

    /// <summary>The report as a page.</summary>
    public static string Page(FlareReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        var page = new HtmlPage("FLARE data report");
        page.Raw($"<p class=\"soft\"><code>{HtmlPage.Escape(report.Root)}</code></p>");
        page.Facts(
            (Count(report.Datasets.Sum(set => set.Rows)), "questions"), (Count(report.Datasets.Sum(set => set.Pictures)), "pictures"),
            (Count(report.Datasets.Select(set => set.Dataset).Distinct().Count()), "data sets"), (Count(report.Faults.Count), "faults"), (Count(report.Shared.Count), "pictures in several splits"));
        Sets(page, report);
        page.Section("One question of each data set").Raw("<div class=\"thumbs\">");
        foreach (DatasetSummary set in report.Datasets.Where(set => set.Sample is not null).DistinctBy(set => set.Dataset))
        {
            string image = Thumbnail.DataUrl(set.Sample!) is { } url ? $"<img alt=\"sample of {HtmlPage.Escape(set.Dataset)}\" src=\"{url}\">" : "";
            page.Raw($"<figure>{image}<b>{HtmlPage.Escape(set.Dataset)}</b><br>{HtmlPage.Escape(Shorten(set.SampleQuestion))}<br><span class=\"soft\">{HtmlPage.Escape(Shorten(set.SampleAnswer))}</span></figure>");
        }

        page.Raw("</div>");
        Classes(page, report);
        Faults(page, report);
        return page.ToString();
    }

    private static void Sets(HtmlPage page, FlareReport report)
    {
        bool tokens = report.Datasets.Any(set => set.PromptTokens is not null);
        page.Section("Data sets").Table(
            ["split", "data set", "tasks", "#rows", "#answers", "#pictures", .. tokens ? (string[])["#tokens (least, median, most)"] : []],
            report.Datasets.Select(set => (string[])
            [
                set.Split, set.Dataset, Tasks(set), Count(set.Rows), Count(set.Answered), Count(set.Pictures),
                .. tokens ? (string[])[set.PromptTokens is { } length ? $"{length.Least}, {length.Median}, {length.Most}" : "–"] : [],
            ]));
    }

    private static void Classes(HtmlPage page, FlareReport report)
    {
        page.Section("Class balance").Paragraph($"Share of the answers of each data set; at most {ShownClasses} classes.", "soft").Raw("<div class=\"plots\">");
        foreach (DatasetSummary set in report.Datasets.Where(set => set.Classes.Count > 0))
        {
            double total = set.Classes.Sum(label => label.Value);
            IEnumerable<string> bars = set.Classes.Take(ShownClasses).Select(label => SvgPlots.Bar(label.Key, label.Value / total, null, 1, Count(label.Value)));
            string more = set.Classes.Count > ShownClasses ? $"<p class=\"soft\">and {set.Classes.Count - ShownClasses} more</p>" : "";
            page.Raw($"<figure class=\"narrow\"><figcaption>{HtmlPage.Escape(set.Split)} / {HtmlPage.Escape(set.Dataset)}</figcaption>{string.Concat(bars)}{more}</figure>");
        }

        page.Raw("</div>");
    }

    private static void Faults(HtmlPage page, FlareReport report)
    {
        page.Section("Faults");
        if (report.Faults.Count == 0) page.Paragraph("None found.");
        else page.Table(["kind", "where", "what"], report.Faults.Take(ShownFaults).Select(fault => (string[])[fault.Kind, fault.Where, Shorten(fault.Detail)]));
        if (report.Faults.Count > ShownFaults) page.Paragraph($"and {report.Faults.Count - ShownFaults} more in report.json", "soft");
        page.Section("Pictures in more than one split");
        if (report.Shared.Count == 0) page.Paragraph("None found.");
        else page.Table(["places", "content (SHA-256)"], report.Shared.Take(ShownFaults).Select(shared => (string[])[string.Join(" = ", shared.Places), shared.Hash]));
    }

    private static string Tasks(DatasetSummary set) => string.Join(", ", set.Tasks.Select(task => set.Tasks.Count > 1 ? $"{task.Key} {task.Value}" : task.Key));

    private static string Shorten(string text) => text.Length <= LongestText ? text : text[..LongestText] + "…";

    private static string Count(int number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
