using System.Text;
using GemmaCore.Inputs.Dicom;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class DicomScrubTests
{
    // Invented, as everything here.
    private const string Secret = "SECRET", Instance = "1.2.840.99.1", Study = "1.2.840.99.2";

    [Theory]
    [InlineData(false, SequenceLengths.Given)]
    [InlineData(false, SequenceLengths.Undefined)]
    [InlineData(true, SequenceLengths.Given)]
    [InlineData(true, SequenceLengths.Undefined)]
    public void Nothing_of_the_patient_is_left_and_the_picture_is_the_same(bool isImplicit, SequenceLengths lengths)
    {
        byte[] file = Patient(isImplicit, lengths);
        ScrubbedFile scrubbed = new DicomScrub("a key").Scrub(file, "x.dcm");

        string text = Encoding.Latin1.GetString(scrubbed.Content);
        foreach (string word in (string[])[Secret, Instance, Study, "20260101", "1.2.840.99.7"]) Assert.DoesNotContain(word, text, StringComparison.Ordinal);
        foreach (int frame in (int[])[1, 2])
            Assert.Equal(ImageDecoder.Decode(ImageSource.FromBytes(file) with { Frame = frame }).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(scrubbed.Content) with { Frame = frame }).Pixels);
        DicomFile read = DicomFile.Read(scrubbed.Content, "x");
        Assert.Equal(("YES", "MR", scrubbed.InstanceUid), (read.Data.Text(0x0012_0062), read.Data.Text(DicomTag.Modality), read.Data.Text(DicomTag.SopInstance)));
        Assert.Equal(read.Data.Text(DicomTag.SopInstance), read.Meta.Text(DicomTag.MediaStorageInstance));
        Assert.True(read.Data.Find(0x0010_0010) is { Length: 0 });
        Assert.Equal(12.5, read.Data.Items(DicomTag.PerFrameGroups)[1].Items(DicomTag.PlanePositions)[0].Numbers(DicomTag.Position)[2]);
        Assert.True(scrubbed.Removed >= 9, $"{scrubbed.Removed}");
        Assert.True(scrubbed.MayShowText);

        // What is scrubbed already loses its method and the mark of it only, and gets them again.
        Assert.Equal(2, new DicomScrub("a key").Scrub(scrubbed.Content, "x.dcm").Removed);
    }

    [Fact]
    public void The_same_uid_becomes_the_same_and_only_with_the_same_key()
    {
        byte[] file = Patient(false, SequenceLengths.Given);
        var scrub = new DicomScrub();
        string first = scrub.Scrub(file, "x").InstanceUid;
        Assert.Equal(first, scrub.Scrub(file, "x").InstanceUid);
        Assert.NotEqual(first, new DicomScrub().Scrub(file, "x").InstanceUid);
        Assert.Equal(new DicomScrub("key").Scrub(file, "x").Content, new DicomScrub("key").Scrub(file, "x").Content);
        Assert.Matches("^2\\.25\\.[1-9][0-9]{30,38}$", first);
    }

    [Fact]
    public void Packed_pixels_that_are_not_read_here_are_copied_and_the_rest_is_refused_by_name()
    {
        DicomWriter writer = new DicomWriter { TransferSyntax = "1.2.840.10008.1.2.4.90" }.Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2").Text(0x0008_0018, "UI", Instance)
            .Text(0x0028_0301, "CS", "NO").Shape(2, 2, 1, "MONOCHROME2", 16).Fragments([], [1, 2, 3, 4, 5, 6]);
        ScrubbedFile scrubbed = new DicomScrub().Scrub(writer.File(), "x");
        Assert.False(scrubbed.MayShowText);
        Assert.Equal([1, 2, 3, 4, 5, 6], DicomFile.Read(scrubbed.Content, "x").Data.Fragments()[1].ToArray());

        writer.TransferSyntax = "1.2.840.10008.1.2.2";
        DicomTests.AssertSays("Big Endian", () => new DicomScrub().Scrub(writer.File(), "x"));
        DicomTests.AssertSays("no SOP Instance UID", () => new DicomScrub().Scrub(DicomWriter.Grey(1, 1, [1]).File(), "x"));
        DicomTests.AssertSays("is no UID", () => new DicomScrub().Scrub(DicomWriter.Grey(1, 1, [1]).Text(0x0008_0016, "UI", Secret).Text(0x0008_0018, "UI", Instance).File(), "x"));
    }

    [Fact]
    public void Damaged_files_raise_nothing_but_input_errors_and_what_comes_out_can_be_read()
    {
        byte[][] seeds = [Patient(false, SequenceLengths.Given), Patient(false, SequenceLengths.Undefined), Patient(true, SequenceLengths.Undefined)];
        var damage = new ByteDamage(2026);
        var scrub = new DicomScrub();
        int accepted = 0;
        for (int i = 0; i < 10_000; i++)
        {
            try
            {
                DicomFile.Read(scrub.Scrub(damage.Damage(seeds[i % seeds.Length]), "x").Content, "x");
                accepted++;
            }
            catch (InputException refusal)
            {
                Assert.DoesNotContain(Secret, refusal.Message, StringComparison.Ordinal);
            }
        }

        Assert.InRange(accepted, 500, 9_500);
    }

    // An enhanced MR of two frames with something private in every corner.
    private static byte[] Patient(bool isImplicit, SequenceLengths lengths)
    {
        DicomWriter Item() => new(isImplicit, lengths);
        DicomWriter Frame(double z) => Item()
            .Sequence(0x0020_9111, Item().Text(0x0018_9074, "DT", "20260101").Short(0x0020_9057, 1))
            .Sequence(0x0020_9113, Item().Number(0x0020_0032, 0, 0, z).Text(0x0020_4000, "LT", Secret));
        byte[] file = Item().Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.4.1").Text(0x0008_0018, "UI", Instance).Text(0x0008_0020, "DA", "20260101").Text(0x0008_0060, "CS", "MR")
            .Text(0x0008_0080, "LO", Secret + " hospital").Text(0x0008_103E, "LO", Secret).Sequence(0x0008_1110, Item().Text(0x0008_1155, "UI", "1.2.840.99.7"))
            .Text(0x0009_0010, "LO", Secret + " private").Element(0x0009_1001, "UN", Encoding.ASCII.GetBytes(Secret)).Text(0x0010_0010, "PN", Secret + "^JANE").Text(0x0010_0020, "LO", Secret + "1")
            .Text(0x0010_0030, "DA", "19700101").Text(0x0020_000D, "UI", Study).Text(0x0020_000E, "UI", Study + ".1").Text(0x0020_4000, "LT", Secret)
            .Shape(2, 1, 1, "MONOCHROME2", 16).Text(0x0028_0008, "IS", "2").Text(0x0028_4000, "LT", Secret).Sequence(0x5200_9230, Frame(0), Frame(12.5))
            .Element(0x6000_3000, "OW", Encoding.ASCII.GetBytes(Secret)).Pixels([1, 0, 2, 0, 3, 0, 4, 0], "OW").Element(0xFFFC_FFFC, "OB", Encoding.ASCII.GetBytes(Secret)).File();
        Encoding.ASCII.GetBytes(Secret).CopyTo(file, 0); // the preamble may hold anything
        return file;
    }
}
