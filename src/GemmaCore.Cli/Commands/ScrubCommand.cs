using System.CommandLine;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore scrub</c>: DICOM files without their patients.</summary>
internal static class ScrubCommand
{
    public static Command Create()
    {
        var command = new Command("scrub", """
            Copy DICOM files without what tells who the patient is. SOURCE is a file, or a folder with those below it. Only what pictures need to be shown, ordered and measured stays; object names (UIDs) are replaced,
            the same by the same; names, ids, dates, texts and private attributes go. Copies of a folder are named by their new UIDs. Text that is burnt into pixels stays, and files that may have some are counted.

            Examples:
              gemmacore scrub scan.dcm --out scan-scrubbed.dcm
              gemmacore scrub study --out study-scrubbed
            """);
        var source = new Argument<string>("SOURCE") { Description = "DICOM file, or folder" };
        var output = new Option<string>("--out") { Description = "file, or new folder, to write", Required = true };
        var secret = new Option<string?>("--uid-secret-file") { Description = "file with a secret that gives the same new UIDs in every run; a random one where not given" };
        var badFile = new Option<string>("--on-bad-file") { Description = "stop at a DICOM file of the folder that cannot be copied, or skip it", DefaultValueFactory = _ => "stop" };
        badFile.AcceptOnlyFromAmong("stop", "skip");
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        command.Add(source);
        foreach (Option option in (Option[])[output, secret, badFile, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            string from = parsed.GetValue(source)!, to = parsed.GetValue(output)!;
            DicomScrub scrub = parsed.GetValue(secret) is { } file ? new DicomScrub(Secret(file)) : new DicomScrub();
            var counts = new Counts();
            if (File.Exists(from)) One(scrub, from, to, counts);
            else if (Directory.Exists(from)) NewFolder.Fill(to, () => Folder(scrub, from, to, counts, parsed.GetValue(badFile) == "skip"));
            else throw new UsageException($"{from}: not found");
            if (counts.OtherFiles > 0) Console.Error.WriteLine($"note: {counts.OtherFiles} files are not DICOM and were left out");
            if (counts.BadFiles > 0) Console.Error.WriteLine($"note: {counts.BadFiles} DICOM files could not be copied and were left out");
            if (counts.MayShowText > 0) Console.Error.WriteLine($"note: {counts.MayShowText} pictures may have text burnt into them (Burned In Annotation is not NO); look at them before you pass them on");
            Console.WriteLine(parsed.GetValue(json) ? counts.Document(to).ToJsonString() : $"{to}: {counts.Files} files, {counts.Removed} attributes removed");
        });
        return command;
    }

    private static void One(DicomScrub scrub, string from, string to, Counts counts)
    {
        if (Directory.Exists(to)) throw new UsageException($"--out {to}: this is a folder; a file is written");
        if (Path.GetFullPath(from) == Path.GetFullPath(to)) throw new UsageException($"--out {to}: is the file itself; give another name");
        byte[] content = File.ReadAllBytes(from);
        if (!DicomScrub.IsDicom(content)) throw new IOException($"{from}: not a DICOM file");
        ScrubbedFile scrubbed = scrub.Scrub(content, from);
        AtomicFile.WriteAllBytes(to, scrubbed.Content);
        counts.Add(scrubbed);
    }

    private static void Folder(DicomScrub scrub, string from, string to, Counts counts, bool skip)
    {
        Directory.CreateDirectory(to);
        string inside = Path.GetFullPath(to) + Path.DirectorySeparatorChar;
        foreach (string path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(path => !Path.GetFullPath(path).StartsWith(inside, StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray())
        {
            Edge.Interrupted.ThrowIfCancellationRequested();
            byte[] content = File.ReadAllBytes(path);
            if (!DicomScrub.IsDicom(content))
            {
                counts.OtherFiles++;
                continue;
            }

            try
            {
                ScrubbedFile scrubbed = scrub.Scrub(content, path);
                string name = Path.Combine(to, scrubbed.InstanceUid + ".dcm");
                if (File.Exists(name)) throw new InputException($"{path}: another file has the same SOP Instance UID; keep one of them");
                File.WriteAllBytes(name, scrubbed.Content);
                counts.Add(scrubbed);
            }
            catch (InputException error)
            {
                if (!skip) throw new InputException($"{error.Message} (--on-bad-file skip leaves such files out)");
                Console.Error.WriteLine(error.Message);
                counts.BadFiles++;
            }
        }

        if (counts.Files == 0) throw new IOException($"{from}: holds no DICOM files{(counts.BadFiles > 0 ? " that can be copied" : "")}");
    }

    private static string Secret(string file)
    {
        string secret = File.ReadAllText(file).Trim();
        return secret.Length >= 16 ? secret : throw new UsageException($"--uid-secret-file {file}: expected at least 16 characters, e.g. from 'openssl rand -hex 32'");
    }

    private sealed class Counts
    {
        public int Files { get; private set; }

        public int Removed { get; private set; }

        public int MayShowText { get; private set; }

        public int OtherFiles { get; set; }

        public int BadFiles { get; set; }

        public void Add(ScrubbedFile file)
        {
            Files++;
            Removed += file.Removed;
            MayShowText += file.MayShowText ? 1 : 0;
        }

        public JsonObject Document(string to) => new()
        {
            ["out"] = to,
            ["files"] = Files,
            ["attributes_removed"] = Removed,
            ["may_show_text"] = MayShowText,
            ["not_dicom"] = OtherFiles,
            ["bad_files"] = BadFiles,
        };
    }
}
