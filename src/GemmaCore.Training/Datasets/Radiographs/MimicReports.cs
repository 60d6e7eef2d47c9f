using System.Text;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// The report texts of MIMIC-CXR (<c>mimic-cxr-reports.zip</c>, unpacked): <c>files/p10/p10000032/s50414267.txt</c>, in a folder of their own or among the pictures.
/// </summary>
internal sealed class MimicReports
{
    private readonly string[] _folders;
    private readonly string _given;

    private MimicReports(string given, string[] folders) => (_given, _folders) = (given, folders);

    /// <summary>The folder of reports; null where none was named and none lies in the data set under its owner's name.</summary>
    /// <param name="configuration">Its <c>reports</c> names the folder.</param>
    /// <param name="asked">True where the task was asked for by name: then reports among the pictures are looked for too.</param>
    /// <exception cref="DatasetException">The folder is not there.</exception>
    public static MimicReports? Find(DatasetConfiguration configuration, bool asked)
    {
        string given = configuration.Reports, usual = Path.Combine(configuration.Path, "mimic-cxr-reports");
        if (given.Length > 0 && !Directory.Exists(given))
            throw new DatasetException(File.Exists(given) ? $"dataset.reports: {given} is a file; unpack it and name the folder" : $"dataset.reports: {given}: not found; expected the folder that mimic-cxr-reports.zip was unpacked to");
        if (given.Length == 0 && !Directory.Exists(usual) && !asked) return null;
        string root = given.Length > 0 ? given : Directory.Exists(usual) ? usual : configuration.Path;
        return new MimicReports(root, [Path.Combine(root, "files"), Path.Combine(root, "mimic-cxr-reports", "files"), root]);
    }

    /// <summary>The sections of a study's report.</summary>
    /// <param name="place">Folder of the study, relative: <c>p10/p10000032/s50414267</c>.</param>
    /// <exception cref="DatasetException">There is no such report, or it is no text.</exception>
    public Dictionary<string, string> Sections(string place)
    {
        string name = place + ".txt";
        string file = _folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
            ?? throw new DatasetException($"there is no report {name} in {_given}; reports are part of MIMIC-CXR (mimic-cxr-reports.zip), unpack them and give dataset.reports");
        try
        {
            return ReportSections.Of(File.ReadAllText(file, new UTF8Encoding(false, throwOnInvalidBytes: true)));
        }
        catch (DecoderFallbackException)
        {
            throw new DatasetException($"{file}: not UTF-8 text");
        }
    }

    /// <summary>The wanted sections as an answer: the bare text of one, with headings where several are wanted; null where a report has none of them.</summary>
    public static string? Answer(Dictionary<string, string> sections, IReadOnlyList<string> wanted)
    {
        if (wanted is [var only]) return sections.GetValueOrDefault(only);
        string[] found = [.. wanted.Where(sections.ContainsKey).Select(name => $"{char.ToUpperInvariant(name[0])}{name[1..]}: {sections[name]}")];
        return found.Length == 0 ? null : string.Join("\n\n", found);
    }
}
