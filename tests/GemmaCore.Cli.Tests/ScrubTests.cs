using System.Text.Json.Nodes;
using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Cli.Tests;

public sealed class ScrubTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_folder_loses_its_patients_and_names_and_half_of_one_is_none()
    {
        string study = _folder.File("study"), output = _folder.File("scrubbed");
        Directory.CreateDirectory(Path.Combine(study, "series"));
        for (int i = 0; i < 3; i++)
        {
            File.WriteAllBytes(Path.Combine(study, "series", $"INVENTED_{i}"), DicomWriter.Colour(2, 1, [1, 2, 3, 4, 5, 6])
                .Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.4").Text(0x0008_0018, "UI", $"1.2.{i}").File());
        }

        File.WriteAllText(Path.Combine(study, "INVENTED.txt"), "INVENTED");
        Finished finished = GemmacoreProcess.Run("scrub", study, "--out", output, "--json").Expect(0);
        JsonNode counts = JsonNode.Parse(finished.Output)!;
        Assert.Equal((3, 3, 1), (counts["files"]!.GetValue<int>(), counts["may_show_text"]!.GetValue<int>(), counts["not_dicom"]!.GetValue<int>()));
        Assert.DoesNotContain("INVENTED", finished.Output + finished.Error, StringComparison.Ordinal);
        string[] files = Directory.GetFiles(output);
        Assert.Equal(3, files.Length);
        Assert.All(files, file => Assert.DoesNotContain("INVENTED", file + System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(file)), StringComparison.Ordinal));
        Assert.Equal([1, 2, 3, 4, 5, 6], ImageDecoder.Decode(ImageSource.FromFile(files[0])).Pixels);

        GemmacoreProcess.Run("scrub", study, "--out", output).ExpectLine(2, "not empty");
        File.WriteAllBytes(Path.Combine(study, "zz"), [.. new byte[128], .. "DICM"u8, 8]);
        GemmacoreProcess.Run("scrub", study, "--out", _folder.File("half")).ExpectLine(1, "zz", "damaged or cut off", "--on-bad-file skip");
        Assert.False(Directory.Exists(_folder.File("half")));
        GemmacoreProcess.Run("scrub", files[0], "--out", files[0]).ExpectLine(2, "the file itself");
        GemmacoreProcess.Run("scrub", _folder.File("no"), "--out", output).ExpectLine(2, "not found");
        File.WriteAllText(_folder.File("notes.txt"), "no picture");
        GemmacoreProcess.Run("scrub", _folder.File("notes.txt"), "--out", _folder.File("copy.txt")).ExpectLine(1, "not a DICOM file");
    }

    [Fact]
    public void What_cannot_be_copied_can_be_left_out()
    {
        string study = _folder.File("study"), output = _folder.File("scrubbed");
        Directory.CreateDirectory(study);
        byte[] Scan(string uid) => DicomWriter.Grey(2, 2, [1, 2, 3, 4]).Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2").Text(0x0008_0018, "UI", uid).File();
        foreach ((string name, byte[] content) in (((string, byte[])[])[("a.dcm", Scan("1.2.1")), ("b.dcm", Scan("1.2.1")), ("c.dcm", [.. new byte[128], .. "DICM"u8, 8]), ("d.dcm", Scan("1.2.2"))]))
            File.WriteAllBytes(Path.Combine(study, name), content);
        GemmacoreProcess.Run("scrub", study, "--out", output).ExpectLine(1, "b.dcm", "the same SOP Instance UID", "--on-bad-file skip");

        Finished finished = GemmacoreProcess.Run("scrub", study, "--out", output, "--on-bad-file", "skip", "--json").Expect(0);
        JsonNode counts = JsonNode.Parse(finished.Output)!;
        Assert.Equal((2, 2), (counts["files"]!.GetValue<int>(), counts["bad_files"]!.GetValue<int>()));
        Assert.Equal(2, Directory.GetFiles(output).Length);
        Assert.All(["b.dcm: another file", "c.dcm: ", "note: 2 DICOM files could not be copied"], words => Assert.Contains(words, finished.Error, StringComparison.Ordinal));

        foreach (string name in (string[])["a.dcm", "b.dcm", "d.dcm"]) File.Delete(Path.Combine(study, name));
        Finished none = GemmacoreProcess.Run("scrub", study, "--out", _folder.File("none"), "--on-bad-file", "skip").Expect(1);
        Assert.Contains("holds no DICOM files that can be copied", none.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("none")));
    }
}
