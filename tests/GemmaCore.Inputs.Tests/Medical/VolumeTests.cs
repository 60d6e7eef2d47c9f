using System.Buffers.Binary;
using GemmaCore.Inputs.Volumes;
using GemmaCore.Testing;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class VolumeTests : IDisposable
{
    // Voxel (i, j, k) of 2 x 2 x 2 is i + 2 j + 4 k.
    private static readonly short[] Cube = [0, 1, 2, 3, 4, 5, 6, 7];

    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-volume-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, true, false)]
    public void Both_versions_both_orders_of_bytes_and_gzip_are_read(bool isSecond, bool isBig, bool isPacked)
    {
        string path = Write("a.nii", NiftiWriter.File([2, 2, 2], Cube, [[-1, 0, 0], [0, -1, 0], [0, 0, 1]], isSecond, isBig, isPacked, slope: 2, intercept: -7));
        // Stored as shown: columns to the left, rows to the back, slices up. Values are 2 v - 7 = -7..7.
        Assert.Equal(new byte[] { 0, 36, 73, 109 }, Greys(path, 1, "full"));
        Assert.Equal(new byte[] { 146, 182, 219, 255 }, Greys(path, 2, "full"));
        Assert.Equal(2, Volume.CountSlices(path));
    }

    [Fact]
    public void Slices_are_turned_the_way_radiologists_look_at_them()
    {
        // Right, front, up: every stored axis runs the other way, so both directions and the order of axial slices turn.
        Assert.Equal([7, 6, 5, 4], Order([[1, 0, 0], [0, 1, 0], [0, 0, -1]], 1));
        // The first two axes change places.
        Assert.Equal([0, 2, 1, 3], Order([[0, -1, 0], [-1, 0, 0], [0, 0, 1]], 1));
        // Coronal: columns left, rows down.
        Assert.Equal([3, 2, 1, 0], Order([[1, 0, 0], [0, 0, 1], [0, 1, 0]], 1));
        // Sagittal: columns back, rows down.
        Assert.Equal([3, 2, 1, 0], Order([[0, 0, 1], [1, 0, 0], [0, 1, 0]], 1));
        // Without either form: as nibabel guesses, first axis left, second front, third up.
        Assert.Equal([2, 3, 0, 1], Order(null, 1));
    }

    [Fact]
    public void Ct_is_three_windows_and_mr_is_scaled_over_the_whole_volume()
    {
        string path = Write("ct.nii.gz", NiftiWriter.File([2, 1, 2], [-1024, 40, 1024, 0], [[-1, 0, 0], [0, -1, 0], [0, 0, 1]], isPacked: true));
        Assert.Equal(new byte[] { 0, 0, 0, 132, 128, 128 }, Show(path, 1, "ct").Pixels);
        Assert.Equal(new byte[] { 0, 132 }, Greys(path, 1, "full"));
        DicomTests.AssertSays("--window ct", () => Show(path, 1, null));
        string constant = Write("mr.nii", NiftiWriter.File([2, 1, 1], [5, 5]));
        Assert.Equal(new byte[] { 255, 255 }, Greys(constant, 1, "full"));
    }

    [Theory]
    [InlineData(3, 85, new[] { 1, 2, 3 })]
    [InlineData(5, 2, new[] { 3, 5 })] // i / 2 * 4 is 2 and 4, from 0
    [InlineData(6, 2, new[] { 3, 6 })] // 2.5 is rounded to 2, the even one
    [InlineData(100, 1, new[] { 100 })]
    public void Slices_are_chosen_as_in_the_notebook(int count, int most, int[] chosen) => Assert.Equal(chosen, VolumePrompt.Chosen(count, most));

    [Fact]
    public void A_prompt_numbers_its_slices_and_a_single_one_has_no_number()
    {
        string path = Write("a.nii", NiftiWriter.File([1, 1, 4], [1, 2, 3, 4]));
        IReadOnlyList<ContentPart> parts = VolumePrompt.Parts(path, GreyWindow.Full, 3);
        Assert.Equal(["SLICE 1", "SLICE 2", "SLICE 3"], parts.OfType<TextPart>().Select(part => part.Text));
        Assert.Equal([2, 3, 4], parts.OfType<ImagePart>().Select(part => part.Image.Slice));
        Assert.IsType<ImagePart>(Assert.Single(VolumePrompt.Parts(path, GreyWindow.Full, 1)));

        PromptEncoder encoder = PromptEncoder.Load(Goldens.DemoPath("model"));
        Prompt prompt = encoder.Encode([new ChatMessage(ChatRole.User, [.. parts, new TextPart("What?")])], addGenerationPrompt: true);
        Assert.Equal((3, 3), (prompt.Images.Count, prompt.ImageSpans.Count));
        Assert.Contains("SLICE 3What?", encoder.Tokenizer.Decode(prompt.Ids, skipSpecialTokens: false), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_of_dicom_files_is_the_largest_acquisition_in_the_order_of_places()
    {
        void Slice(string name, int value, double z, int number, string series = "1.2", string type = "ORIGINAL", string modality = "MR") => Write(name, DicomWriter
            .Grey(1, 1, [value], modality).Text(0x0008_0008, "CS", type).Text(0x0020_000E, "UI", series).Text(0x0020_0013, "IS", $"{number}")
            .Number(0x0020_0032, 0, 0, z).Number(0x0020_0037, 1, 0, 0, 0, 1, 0).File());
        Slice("c", 10, 30, 1);
        Slice("a", 20, -5, 2);
        Slice("b", 30, 12, 3);
        Slice("d", 99, 12, 3); // an instance number that is there already
        Slice("scout", 1, 0, 1, series: "1.3");
        for (int i = 0; i < 5; i++) Slice($"derived{i}", 7, i, i, series: "1.4", type: "DERIVED");
        Write("notes.txt", "hello"u8.ToArray());

        Assert.Equal(3, Volume.CountSlices(_folder));
        // 20, 30, 10 from the feet up, scaled over 10..30
        Assert.Equal([128, 255, 0], Enumerable.Range(1, 3).Select(slice => (int)Greys(_folder, slice, null)[0]));
    }

    [Fact]
    public void A_dicom_file_of_several_frames_is_a_volume_too()
    {
        string path = Write("frames.dcm", DicomWriter.Grey(1, 1, [0, 50, 100], "MR").Text(0x0028_0008, "IS", "3").File());
        Assert.Equal([0, 128, 255], Enumerable.Range(1, 3).Select(slice => (int)Greys(path, slice, null)[0]));
        DicomTests.AssertSays("no slice 4", () => Show(path, 4, null));
    }

    [Fact]
    public void What_is_cut_absurd_or_of_another_kind_is_refused_before_it_is_set_aside()
    {
        byte[] whole = NiftiWriter.File([2, 2, 2], Cube), gzip = NiftiWriter.Packed(whole);
        for (int length = 0; length < whole.Length; length += 5)
        {
            string cut = Write("cut.nii", whole[..length]), packed = Write("cut.nii.gz", gzip[..(gzip.Length * length / whole.Length / 2)]);
            Assert.Throws<InputException>(() => Show(cut, 1, "full"));
            Assert.Throws<InputException>(() => Show(packed, 1, "full"));
        }

        byte[] huge = [.. whole], four = [.. whole], pair = [.. whole], complex = [.. whole];
        for (int axis = 1; axis <= 3; axis++) BinaryPrimitives.WriteInt16LittleEndian(huge.AsSpan(40 + 2 * axis), 4096);
        DicomTests.AssertSays("4096 x 4096 x 4096 voxels of 2 bytes are more than", () => Show(Write("huge.nii.gz", NiftiWriter.Packed(huge)), 1, "full"));
        (four[40], four[48]) = (4, 9);
        DicomTests.AssertSays("9 values along axis 4", () => Show(Write("four.nii", four), 1, "full"));
        pair[345] = (byte)'i';
        DicomTests.AssertSays("in one piece", () => Show(Write("pair.nii", pair), 1, "full"));
        complex[70] = 32;
        DicomTests.AssertSays("type 32", () => Show(Write("complex.nii", complex), 1, "full"));
        DicomTests.AssertSays("not found", () => Show(Path.Combine(_folder, "no.nii"), 1, "full"));
        DicomTests.AssertSays("--volume", () => ImageDecoder.Decode(ImageSource.FromFile(Write("a.nii", whole))));
        Directory.CreateDirectory(Path.Combine(_folder, "empty"));
        DicomTests.AssertSays("no DICOM files", () => Show(Path.Combine(_folder, "empty"), 1, null));
    }

    [Fact]
    public void Damaged_headers_raise_nothing_but_input_errors() => Assert.InRange(NiftiFuzz.Run(20_000, seed: 2026).Accepted, 1_000, 19_900);

    private int[] Order(int[][]? directions, int slice)
    {
        string path = Write("turned.nii", NiftiWriter.File([2, 2, 2], Cube, directions));
        return [.. Greys(path, slice, "3.5/8").Select(grey => (int)Math.Round(grey * 8 / 255.0 - 0.5))];
    }

    private static RgbImage Show(string path, int slice, string? window) =>
        ImageDecoder.Decode(ImageSource.FromFile(path) with { Slice = slice, Window = window is null ? null : GreyWindow.Parse(window) });

    private static byte[] Greys(string path, int slice, string? window) => [.. Show(path, slice, window).Pixels.Where((_, index) => index % 3 == 0)];

    private string Write(string name, byte[] content)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }
}
